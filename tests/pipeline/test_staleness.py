"""Nothing answers from what was made before something changed: every stage, every change."""

import shutil
from functools import partial

import pytest

from goldfold.errors import InputError
from goldfold.files import read_json, write_json
from goldfold.pipeline.checkpoint_choice import averaged_checkpoint, averages_path, chosen_way
from goldfold.pipeline.ensemble_stage import require_ensemble
from goldfold.pipeline.fold_trainings import choose_trainings
from goldfold.pipeline.open_run import OpenRun
from goldfold.pipeline.pseudo_labels import open_pseudo_labels, pseudo_path, test_contents
from goldfold.pipeline.stages import Images, stages_of
from goldfold.pipeline.submission_stage import require_submission

STAGES = ["images", "folds", "train", "predict", "ensemble", "submission"]

SETTINGS = {
    # change: the first stage that is no longer current
    "folds.seed=3": "folds",
    "folds.area_bins=2": "folds",
    "models.0.stages.0.learning_rate=1e-4": "train",
    "models.0.stages.0.sampling.schedule=positives-only": "train",
    "models.0.options.decoder_channels=[16,8,8,8,4]": "train",
    "competition.metric=mean-iou-thresholds": "train",
    "inference.views=none": "predict",
    "inference.merge=geometric": "predict",
    "inference.checkpoints=1": "predict",
    "inference.image_size=96": "predict",
    "inference.tile=32": "predict",
    "inference.batch_size=3": "predict",
    "inference.engine=compile": "predict",
    "ensemble.merge=logit": "ensemble",
    "ensemble.rule=peak": "ensemble",
    "ensemble.seed=1": "ensemble",
    "ensemble.bootstrap_samples=200": "ensemble",
    "ensemble.weights=[2]": "ensemble",
    "ensemble.post_processing=auto": "ensemble",
    "ensemble.min_area_candidates=5": "ensemble",
    "ensemble.thresholds={top=0.5, min_area=10, bottom=0.4}": "ensemble",
    "submission.file=other.csv": "submission",
    "competition.submission.dialect=kaggle": "submission",
}
HARMLESS = ["workers=2", "training.precision=float32", "folds.not_groups=['age']"]


@pytest.fixture(scope="module")
def made(synthetic, finished, tmp_path_factory):
    """A finished run that is opened with other settings; nobody changes its files."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(synthetic / "data", folder / "data")
    shutil.copytree(finished, folder / "runs" / "first")
    return folder / "runs" / "first"


def is_stale(stage):
    """Whether a stage says that it has to be made again, or that what it stands on does."""
    try:
        return not stage.is_current()
    except InputError:
        return True


def first_stale(run):
    return next((stage.name for stage in stages_of(run) if is_stale(stage)), None)


@pytest.mark.parametrize("setting", [None, *HARMLESS])
def test_where_nothing_changed_everything_is_current(made, setting):
    run = OpenRun.open(made, [setting] if setting else [])
    assert [stage.name for stage in stages_of(run) if is_stale(stage)] == []
    require_ensemble(run)
    require_submission(run)


@pytest.mark.parametrize(("setting", "first"), SETTINGS.items())
def test_a_changed_setting_makes_a_stage_and_all_behind_it_stale(made, setting, first):
    run = OpenRun.open(made, [setting])
    stale = [stage.name for stage in stages_of(run) if is_stale(stage)]
    assert stale == STAGES[STAGES.index(first) :]
    with pytest.raises(InputError):
        require_submission(run)
    if first != "submission":
        with pytest.raises(InputError):
            require_ensemble(run)


# --- files ---------------------------------------------------------------------------------------


def edit_json(pattern, key, value, run, data):
    paths = sorted(run.glob(pattern))
    assert paths
    content = read_json(paths[0])
    content[key] = value
    write_json(paths[0], content)


def remove(pattern, run, data):
    sorted(run.glob(pattern))[0].unlink()


def touch_up(name, run, data):
    path = run / name if (run / name).exists() else data / name
    path.write_text(path.read_text().rstrip("\n").rsplit("\n", 1)[0] + "\n")  # one row less


def other_label(run, data):
    path = data / "train-rle.csv"
    lines = path.read_text().splitlines()
    place = next(n for n, line in enumerate(lines) if n and not line.rstrip().endswith("-1"))
    lines[place] = f"{lines[place].split(',')[0]}, 40 7"
    path.write_text("\n".join(lines) + "\n")


FILES = {
    "the labels changed": (other_label, "images"),
    "an image is gone": (partial(remove, "../../data/dicom-images-train/*/*/*.dcm"), "images"),
    "folds.csv lost a row": (partial(touch_up, "folds.csv"), "folds"),
    "folds.csv is gone": (partial(remove, "folds.csv"), "folds"),
    "a training's result is gone": (partial(remove, "models/*/*/*/*/result.json"), "train"),
    "a training was of other labels": (
        partial(edit_json, "models/*/*/*/*/result.json", "made_from", {"data": "0"}),
        "train",
    ),
    "a checkpoint was exchanged": (
        partial(edit_json, "models/**/checkpoints/*.json", "sha256", "0" * 64),
        "predict",
    ),
    "a store was never finished": (
        partial(remove, "predictions/**/out-of-fold.json"),
        "predict",
    ),
    "a store is gone": (partial(remove, "predictions/**/test.maps"), "predict"),
    "a store was of other facts": (
        partial(edit_json, "predictions/**/test.json", "facts", {"views": "d4"}),
        "predict",
    ),
    "ensemble.json is gone": (partial(remove, "ensemble.json"), "ensemble"),
    "ensemble.json was changed by hand": (
        partial(edit_json, "ensemble.json", "metric", "x"),
        "submission",
    ),
    "the record of the ensemble is gone": (partial(remove, "stages/ensemble.json"), "ensemble"),
    "the sample lost a row": (partial(touch_up, "stage_2_sample_submission.csv"), "submission"),
    "the submission is gone": (partial(remove, "submission.csv"), "submission"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_changed_file_makes_a_stage_stale(copied, data, what, monkeypatch):
    monkeypatch.setattr("goldfold.file_hashes.SETTLED_NS", 0)
    change, first = FILES[what]
    run = OpenRun.open(copied, [f"competition.data={data}"])
    assert not is_stale(stages_of(run)[0])
    change(copied, data)
    run = OpenRun.open(copied, [f"competition.data={data}"])
    if first == "images":
        assert is_stale(Images(run))  # before anybody asks for the table, which reads it anew
        return
    assert first_stale(run) == first


def test_images_that_would_be_read_otherwise_are_stale(copied):
    assert not is_stale(Images(OpenRun.open(copied)))
    assert is_stale(Images(OpenRun.open(copied, ["competition.images.test=['*.png']"])))


# --- what answers from averages and pseudo-labels ------------------------------------------------


@pytest.fixture
def averaged(copied):
    """A run with averages.json that says what is best, and made from which checkpoints."""
    from goldfold.pipeline.checkpoint_choice import averages_folder, compared_checkpoints

    run = OpenRun.open(copied, ["inference.average=auto"])
    jobs = choose_trainings(run)
    content = {"tiny": {"best": "greedy", "made_from": compared_checkpoints(run, jobs)}}
    write_json(averages_path(run), content)
    for job in jobs:
        (facts,) = sorted(job.folder(run).glob("checkpoints/epoch-0002.json"))
        hashes = compared_checkpoints(run, [job]).popitem()[1]
        folder = averages_folder(run, job)
        folder.mkdir()
        write_json(folder / "greedy.json", {**read_json(facts), "averaged_from": hashes})
    return run


def test_averages_of_the_present_checkpoints_are_used(averaged):
    for job in choose_trainings(averaged):
        assert chosen_way(averaged, job) == "greedy"
        assert averaged_checkpoint(averaged, job, "greedy").path.name == "greedy.safetensors"


def test_averages_of_other_checkpoints_are_refused(averaged):
    edit_json("models/**/checkpoints/*.json", "sha256", "0" * 64, averaged.directory.root, None)
    job = choose_trainings(averaged)[0]
    with pytest.raises(InputError, match=r"averages\.json compares other checkpoints of tiny"):
        chosen_way(averaged, job)
    with pytest.raises(InputError, match=r"greedy\.json was made from other checkpoints"):
        averaged_checkpoint(averaged, job, "greedy")


def test_averages_that_were_never_made_are_asked_for(averaged):
    averages_path(averaged).unlink()
    with pytest.raises(InputError, match="does not say what is best for tiny"):
        chosen_way(averaged, choose_trainings(averaged)[0])
    with pytest.raises(InputError, match=r"uniform\.json does not exist yet"):
        averaged_checkpoint(averaged, choose_trainings(averaged)[0], "uniform")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ("test_images", "the test images changed since"),
        ("held_out_images", "held out other images than fold 0"),
    ],
)
def test_pseudo_labels_of_other_images_or_folds_are_refused(made, tmp_path, changed, words):
    shutil.copytree(made.parents[1], tmp_path / "copy")
    run = OpenRun.open(tmp_path / "copy/runs/first")
    facts = {
        "test_images": test_contents(run.images), "held_out_images": run.fold(0).fingerprint,
    }  # fmt: skip
    path = pseudo_path(run, "taught", 0).with_suffix(".json")
    write_json(path, {"facts": facts})
    read = []
    run.task.read_pseudo = lambda *given: read.append(given)
    open_pseudo_labels(run, "taught", 0, 64)
    assert len(read) == 1
    write_json(path, {"facts": {**facts, changed: "other"}})
    with pytest.raises(InputError, match=words):
        open_pseudo_labels(run, "taught", 0, 64)
    path.unlink()
    with pytest.raises(InputError, match="there are no pseudo-labels 'taught' for fold 0"):
        open_pseudo_labels(run, "taught", 0, 64)
    assert len(read) == 1
