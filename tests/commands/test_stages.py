"""`train run`, `predict run` and `ensemble run`: choices, summaries, dry runs."""

import json

import pytest

from goldfold.tasks.mask_words import ensemble_lines


def test_training_prints_the_best_checkpoint_of_each_fold(finished, invoke):
    done = invoke("train", "run", finished)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split() == ["model", "seed", "fold", "best", "epoch", "weights", "dice"]
    assert [line.split()[:3] for line in lines[1:3]] == [["tiny", "0", "0"], ["tiny", "0", "1"]]
    assert lines[-1] == f"next: goldfold predict run {finished}"


def test_training_writes_a_history(finished):
    rows = (finished / "models/tiny/seed-0/fold-0/stage-1/history.csv").read_text().splitlines()
    assert len(rows) == 3
    assert {"epoch", "loss", "learning_rate", "score"} <= set(rows[0].split(","))


def test_dry_runs_do_nothing(fresh, finished, invoke, contents):
    assert invoke("folds", "build", fresh).code == 0
    for run, code in ((fresh, 2), (finished, 0)):
        before = contents(run)
        assert invoke("train", "run", run, "--dry-run").code == 0
        assert invoke("predict", "run", run, "--dry-run").code == code
        assert contents(run) == before
    planned = invoke("train", "run", fresh, "--dry-run", "--fold", "1").out
    assert planned.endswith("fold-1/stage-1: would train 2 epochs\n")
    assert invoke("train", "run", finished, "--dry-run").out.count("finished") == 2
    done = invoke("predict", "run", finished, "--dry-run", "--test")
    assert done.out.count("test: up to date") == 2


def test_dry_runs_compare_as_the_real_ones_do(finished, invoke, contents):
    before = contents(finished)
    planned = invoke("train", "run", finished, "--dry-run", "--overwrite", "--fold", "0")
    assert planned.out.endswith("fold-0/stage-1: would be deleted and trained again, 2 epochs\n")
    words = ["--set", "models.0.stages.0.epochs=3"]
    for stage in (["train", "run"], ["predict", "run"], ["run"]):
        done = invoke(*stage, finished, "--dry-run", *words)
        assert (done.code, "holds a training made from other input" in done.err) == (2, True)
    planned = invoke("run", finished, "--dry-run", "--overwrite", *words).out
    assert planned.count("would be deleted and trained again, 3 epochs") == 2
    assert planned.count("would be predicted anew if its checkpoints change") == 4
    planned = invoke("predict", "run", finished, "--dry-run", "--set", "inference.views=none").out
    assert planned.count("would be predicted anew, because views changed") == 4
    planned = invoke("run", finished, "--dry-run", "--set", "inference.views=none").out
    assert planned.count("because views changed") == 4
    assert "ensemble: would be made anew\nsubmission: would be written anew\n" in planned
    assert contents(finished) == before


def test_predictions_are_passed_over_when_they_stand(finished, invoke, contents):
    before = contents(finished, "predictions/**/*")
    assert invoke("predict", "run", finished).err.count("up to date") == 4
    assert contents(finished, "predictions/**/*") == before


def test_other_views_are_predicted_anew(copied, invoke):
    before = (copied / "predictions/tiny/seed-0/fold-0/test.maps").read_bytes()
    done = invoke("predict", "run", copied, "--test", "--set", "inference.views=none")
    assert done.code == 0
    assert done.err.count("test: predicting anew, because views changed") == 2
    assert done.err.count("image cache") == 1
    assert done.out.endswith(f"next: goldfold ensemble run {copied} --set inference.views=none\n")
    assert (copied / "predictions/tiny/seed-0/fold-0/test.maps").read_bytes() != before
    stale = invoke("submit", "write", copied)
    assert (stale.code, "test.maps was made from other views." in stale.err) == (2, True)


def test_a_missing_fold_is_gone_without_only_on_request(copied, invoke, tmp_path):
    (copied / "models/tiny/seed-0/fold-1").rename(tmp_path / "away")
    (copied / "predictions/tiny/seed-0/fold-1").rename(tmp_path / "away as well")
    done = invoke("predict", "run", copied)
    assert done.code == 2
    assert "1 of 2 fold trainings are not finished" in done.err
    assert "--set inference.allow_missing_folds=true" in done.err
    words = ["--set", "inference.allow_missing_folds=true"]
    assert invoke("predict", "run", copied, *words).code == 0
    report = invoke("ensemble", "run", copied, *words, "--json").json
    assert report["images"]["all"] == 12
    written = invoke("submit", "write", copied, *words)
    assert written.code == 0, written.err


def test_the_ensemble_reports_the_honest_score_first(finished, invoke):
    lines = invoke("ensemble", "run", finished).out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["score", "honest", "all-empty", "optimistic"]
    assert "thresholds chosen on the other folds" in lines[1]
    report = invoke("ensemble", "run", finished, "--json").json
    assert report == json.loads((finished / "ensemble.json").read_text())
    assert report["images"] == {"all": 23, "empty": 17, "non_empty": 6}
    assert report["honest"]["interval"]["low"] <= report["honest"]["score"]
    assert len(report["honest"]["folds"]) == 2


def test_members_that_are_no_models(finished, invoke):
    for words in ('ensemble.members=["tony"]', "ensemble.weights=[1,2]"):
        done = invoke("ensemble", "run", finished, "--set", words)
        assert (done.code, words.split("=")[0] in done.err) == (2, True)


def test_two_models_and_two_seeds_are_blended(copied, invoke):
    """The seed of the finished run is taken over; the model by another name is trained."""
    path = copied / "goldfold.toml"
    head, _, model = path.read_text().partition("[[models]]")
    model, _, rest = model.partition("[inference]")
    second = model.replace('"tiny"', '"second"').replace("[models.options]", "[models.options]", 1)
    text = f"{head}[[models]]{model}[[models]]{second}[inference]{rest}"
    path.write_text(text.replace('name = "tiny"', 'name = "tiny"\nseeds = [0, 1]'))
    done = invoke("run", copied)
    assert done.code == 0, done.err
    assert done.err.count("train tiny seed-0 fold-0: up to date") == 1
    report = json.loads((copied / "ensemble.json").read_text())
    assert [(m["name"], m["seeds"], m["stores"]) for m in report["members"]] == [
        ("tiny", 2, 4),
        ("second", 1, 2),
    ]
    facts = json.loads((copied / "submission.json").read_text())
    assert len({name.split("/checkpoints")[0] for name in facts["checkpoints"]}) == 6


@pytest.mark.parametrize(
    ("top", "area", "bottom", "words"),
    [
        (191, 50, 127, "empty if fewer than 50 pixels reach probability 0.750, else pixels from"),
        (191, 1, 127, "empty if no pixel reaches probability 0.750, else pixels from 0.500"),
        (127, 0, 127, "pixels from probability 0.500 (no minimum area)"),
        (255, 1, 255, "every mask empty; nothing beat the all-empty submission"),
        (255, 7, 100, "every mask empty; nothing beat the all-empty submission"),
    ],
)
def test_the_rule_in_words(finished, top, area, bottom, words):
    from goldfold.ensemble.mask_choice import describe_rule
    from goldfold.ensemble.threshold import Rule

    report = json.loads((finished / "ensemble.json").read_text())
    report["rule"] = describe_rule(Rule(top=top, min_area=area, bottom=bottom))
    lines = ensemble_lines(report)
    assert any(str(line).startswith(f"rule: {words}") for line in lines)


def test_an_interrupted_store_of_other_facts_is_not_discarded_without_a_word(copied, invoke):
    (copied / "predictions/tiny/seed-0/fold-0/test.json").unlink()
    done = invoke("predict", "run", copied, "--test", "--set", "inference.batch_size=3")
    assert done.code == 0
    assert "fold-0 test: predicting anew, because what they were made from changed" in done.err
    assert "fold-1 test: predicting anew, because batch_size changed" in done.err
