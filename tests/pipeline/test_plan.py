"""What a dry run says of each training and each store."""

import pytest

from goldfold.errors import InputError
from goldfold.files import fingerprint, write_json
from goldfold.inference.record import pack_header
from goldfold.pipeline import predictions
from goldfold.pipeline.fold_trainings import choose_trainings
from goldfold.pipeline.plan import plan_predictions, plan_training
from goldfold.pipeline.predictions import images_fingerprints, store_facts, store_of
from goldfold.pipeline.stage_runs import stage_runs
from goldfold.training.epoch import EpochSoFar
from goldfold.training.state import Progressed


def state_of(line):
    return line.rpartition(": ")[2]


def leave_state(stage, epoch, goal=None, finished=False):
    progressed = Progressed(epoch, [], EpochSoFar(), goal=goal, finished=finished)
    content = {**vars(progressed), "so_far": vars(progressed.so_far)}
    content["made_from"] = dict(stage.fold_run.made_from)
    write_json(stage.fold_run.state_folder / "state.json", content)


@pytest.fixture
def jobs_of():
    return lambda run: choose_trainings(run, fold=0, seed=0)


def test_a_training_is_new_resumed_or_finished(tabled, jobs_of):
    run = tabled()
    jobs = jobs_of(run)
    (stage,) = stage_runs(run, jobs)

    def planned(overwrite=False):
        (line,) = plan_training(run, jobs, overwrite)
        return state_of(line)

    assert planned() == planned(overwrite=True) == "would train 2 epochs"
    leave_state(stage, epoch=1)
    assert planned() == "would resume after epoch 1 of 2"
    assert planned(overwrite=True) == "would be deleted and trained again, 2 epochs"
    leave_state(stage, epoch=2, goal=5)
    assert planned() == "would resume after epoch 2 of 5"
    leave_state(stage, epoch=2, finished=True)
    write_json(stage.fold_run.result_path, {"made_from": dict(stage.fold_run.made_from)})
    assert planned() == "finished"


def test_a_training_of_other_settings_is_refused_but_may_be_overwritten(tabled, jobs_of):
    run = tabled()
    (stage,) = stage_runs(run, jobs_of(run))
    write_json(stage.fold_run.result_path, {"made_from": dict(stage.fold_run.made_from)})
    other = tabled("models.0.stages.0.epochs=7")
    with pytest.raises(InputError, match=r"stage-1\.epochs: it was 2, now 7"):
        plan_training(other, jobs_of(other), False)
    (line,) = plan_training(other, jobs_of(other), True)
    assert state_of(line) == "would be deleted and trained again, 7 epochs"


@pytest.fixture
def trained(tabled, jobs_of, monkeypatch):
    """A run whose first training is finished, without checkpoints to look at."""
    monkeypatch.setattr(predictions, "predicting_checkpoints", lambda *_: [])
    run = tabled("inference.engine=torch")
    (job,) = jobs_of(run)
    write_json(job.folder(run) / "result.json", {})
    return run, job


def test_a_store_is_new_resumed_finished_or_made_anew(trained):
    run, job = trained
    path = store_of(run, job, "test")
    facts = store_facts(run, job, images_fingerprints(run, [0], "test")[0], "test")

    def planned(**how):
        (line,) = plan_predictions(run, [job], ["test"], **how)
        return state_of(line)

    assert planned() == "would be predicted"
    path.parent.mkdir(parents=True)
    path.write_bytes(pack_header(fingerprint(facts)) + b"a record")
    assert planned() == "would resume"
    write_json(path.with_suffix(".json"), {"facts": facts})
    assert planned() == "up to date"
    assert planned(retrained=True) == "would be predicted anew if its checkpoints change"
    others = {**facts, "views": "d4", "batch_size": 1}
    path.write_bytes(pack_header(fingerprint(others)) + b"a record")
    write_json(path.with_suffix(".json"), {"facts": others})
    assert planned() == "would be predicted anew, because views and batch_size changed"


def test_before_its_training_nothing_is_known_of_a_store(tabled, jobs_of):
    run = tabled()
    (line,) = plan_predictions(run, jobs_of(run), ["out-of-fold"])
    assert line.endswith("fold-0/out-of-fold: would be predicted")
