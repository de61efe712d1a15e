"""The whole pipeline by the command line: stage by stage, at once, again, and after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

RESULTS = ("submission.csv", "ensemble.json", "submission.json")


# --- the pipeline ---------------------------------------------------------------------------------


def test_stage_by_stage_gives_what_run_gives(
    synthetic, finished, invoke, init_run, tmp_path, contents
):
    run = init_run(synthetic / "data", tmp_path / "stages")
    assert "no problems" in invoke("check", run).out
    assert "fold  images  groups" in invoke("folds", "build", run).out
    assert invoke("folds", "audit", run).code == 0

    first = invoke("train", "run", run, "--fold", "0")
    assert first.code == 0
    assert [row.split()[:3] for row in first.out.splitlines()[1:-1]] == [["tiny", "0", "0"]]
    assert not (run / "models/tiny/seed-0/fold-1").exists()
    second = invoke("train", "run", run)
    assert "fold-0: up to date" in second.err
    assert "train tiny fold-1" in second.err

    assert invoke("predict", "run", run, "--out-of-fold").code == 0
    assert not list(run.glob("predictions/**/test.maps"))
    assert invoke("predict", "run", run, "--test").code == 0
    assert invoke("ensemble", "run", run, "--json").json["honest"]["score"] >= 0
    written = invoke("submit", "write", run)
    assert written.code == 0
    for name in RESULTS:
        assert (run / name).read_bytes() == (finished / name).read_bytes(), name
    for pattern in ("**/*.maps", "**/checkpoints/*", "folds.csv", "images.csv", "cache/*.npy"):
        assert contents(run, pattern) == contents(finished, pattern), pattern

    # The command that is offered next is one that works.
    (offered,) = [line for line in written.out.splitlines() if line.startswith("next: goldfold ")]
    checked = invoke(*offered.split()[2:])
    assert (checked.code, "correct, 8 rows" in checked.out) == (0, True)


def test_the_submission_is_scored(synthetic, finished, invoke):
    words = ["--solution", synthetic / "data/solution.csv", "--competition", finished]
    scores = invoke("submit", "score", finished / "submission.csv", *words, "--json").json
    parts = [scores[name] for name in ("overall", "public", "private")]
    assert all(0 <= part["score"] <= 1 for part in parts)
    assert parts[0]["images"] == parts[1]["images"] + parts[2]["images"] == 8
    table = invoke("submit", "score", finished / "submission.csv", *words).out
    assert table.splitlines()[0].split()[:3] == ["part", "dice", "all-empty"]


def test_a_second_run_finds_everything_up_to_date(copied, invoke, contents):
    invoke("run", copied)  # the copy lies elsewhere, so the data is looked at again
    before = contents(copied)
    again = invoke("run", copied)
    assert again.code == 0
    lines = again.err.splitlines()
    assert [line for line in lines if not line.endswith("up to date")] == []
    assert len(lines) == 1 + 2 + 4 + 1 + 1
    assert contents(copied) == before


def test_a_moved_run_is_still_up_to_date(copied, invoke, tmp_path):
    moved = tmp_path / "other place"
    moved.mkdir()
    (tmp_path / "data").rename(moved / "data")
    (tmp_path / "runs").rename(moved / "runs")
    again = invoke("run", moved / "runs" / "first")
    assert again.code == 0, again.err
    assert again.err.count("up to date") == 1 + 2 + 4 + 1 + 1
    assert "image cache" not in again.err


def test_the_folder_in_which_a_command_is_typed_does_not_matter(
    copied, invoke, monkeypatch, contents
):
    invoke("run", copied)
    before = contents(copied)
    monkeypatch.chdir(copied)
    assert "reading headers" not in invoke("run", ".").err
    monkeypatch.chdir(copied.parent)
    assert invoke("folds", "build", "first").code == 0
    assert contents(copied) == before


def test_changed_thresholds_settings_redo_only_what_depends_on_them(copied, invoke):
    words = ["--set", "ensemble.bootstrap_samples=200"]
    again = invoke("run", copied, *words)
    assert again.code == 0
    assert again.err.count("up to date") == 1 + 2 + 4
    assert "ensemble: up to date" not in again.err
    facts = json.loads((copied / "submission.json").read_text())
    assert facts["settings"]["ensemble"]["bootstrap_samples"] == 200
    assert json.loads((copied / "run.json").read_text())["settings"] is not None


def test_submission_json_says_what_the_file_was_made_from(finished, contents):
    facts = json.loads((finished / "submission.json").read_text())
    checkpoints = contents(finished, "**/checkpoints/*.safetensors")
    assert set(facts["checkpoints"]) == set(checkpoints)
    assert facts["files"]["submission"]["name"] == "submission.csv"
    assert set(facts["files"]) == {"submission", "folds", "ensemble", "sample"}
    assert facts["seeds"] == {"folds": 0, "models": {"tiny": [0]}, "ensemble": 0}
    assert {"goldfold", "torch", "python"} <= set(facts["versions"])
    assert str(finished.parent) not in (finished / "submission.json").read_text()


def test_dry_run_says_what_would_be_done_and_does_nothing(fresh, finished, invoke, contents):
    before = contents(fresh)
    planned = invoke("run", fresh, "--dry-run")
    assert planned.code == 0
    assert "fold-1/stage-1: would train 2 epochs" in planned.out
    assert contents(fresh) == before
    done = invoke("run", finished, "--dry-run").out
    assert done.count("finished") == 2
    assert [line.split(": ")[1] for line in done.splitlines()] == [
        *["up to date"] * 2, *["finished"] * 2, *["up to date"] * 6
    ]  # fmt: skip


def test_without_test_images_the_run_ends_with_the_honest_score(data, init_run, invoke, tmp_path):
    shutil.rmtree(data / "dicom-images-test")
    (data / "stage_2_sample_submission.csv").unlink()
    run = init_run(data, tmp_path / "run")
    done = invoke("run", run, "--set", "folds.train=[1]")
    assert done.code == 0, done.err
    assert "warning: no test images, so there is no submission to write" in done.err
    assert "honest" in done.out
    assert not (run / "submission.csv").exists()


# --- killed --------------------------------------------------------------------------------------

KILLS = {
    "images.csv stands, its record not": ("goldfold.competitions.images_table:write_images", {}),
    "folds.csv stands, its record not": ("goldfold.folds.table:write_folds", {}),
    "in the middle of the image cache": (
        "goldfold.training.cache_writer:_prepare",
        {"call": 12, "when": "before"},
    ),
    "the cache's arrays stand, not their facts": (
        "goldfold.training.cache_writer:write_json",
        {"when": "before"},
    ),
    "in the first epoch of fold 0": (
        "goldfold.training.step:Step.take",
        {"call": 2, "when": "before"},
    ),
    "a checkpoint's weights stand, not its facts": (
        "goldfold.training.checkpoint:write_json",
        {"when": "before"},
    ),
    "the checkpoint stands, not the state": (
        "goldfold.training.fold_files:save_state",
        {"when": "before"},
    ),
    "the state's tensors stand, not state.json": (
        "goldfold.training.state:write_json",
        {"when": "before"},
    ),
    "the first epoch of fold 0 is over": ("goldfold.training.fold_files:save_state", {}),
    "all epochs of fold 0 are over, without result.json": (
        "goldfold.training.fold_files:write_json",
        {"when": "before"},
    ),
    "in the second epoch of fold 1": (
        "goldfold.training.step:Step.take",
        {
            "call": 3,
            "when": "before",
        },  # fold 0's last state stands, so none of its steps is repeated
    ),
    "a torn map": ("goldfold.inference.store:MapWriter._write", {"call": 3, "when": "halfway"}),
    "all maps of a fold stand, without their summary": (
        "goldfold.inference.store:write_json",
        {"when": "before"},
    ),
    "a few test maps stand": ("goldfold.inference.store:MapWriter.append_record", {"call": 17}),
    "before ensemble.json": (
        "goldfold.files:write_json",
        {"when": "before", "argument": "killed/ensemble.json"},
    ),
    "ensemble.json stands, its record not": (
        "goldfold.files:write_json",
        {"argument": "killed/ensemble.json"},
    ),
    "before submission.csv": ("goldfold.submissions.write:write_text", {"when": "before"}),
    "before submission.json": (
        "goldfold.files:write_json",
        {"when": "before", "argument": "killed/submission.json"},
    ),
    "submission.json stands, submission.csv not": (
        "goldfold.files:write_json",
        {"argument": "killed/submission.json"},
    ),
    "submission.csv stands, its record not": (
        "goldfold.rundirectory:write_json",
        {"when": "before", "argument": "killed/stages/submission.json"},
    ),
}


@pytest.fixture(scope="module")
def killer(tmp_path_factory):
    """Return a function (words, **request of killer.py) -> (exit code, what was printed)."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    script = Path(__file__).with_name("killer.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    log = tmp_path_factory.mktemp("killer") / "log"
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )

    def run(*words, **request):
        request |= {"words": [str(word) for word in words], "err": str(log)}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, "killer.py ended before it answered"
        return int(answer), log.read_text()

    yield run
    process.stdin.close()
    process.wait(30)


def test_killed_at_every_stage_and_started_again(synthetic, finished, killer, init_run, contents):
    """One run is killed at all of these moments, one after the other, and then left alone."""
    run = init_run(synthetic / "data", synthetic / "runs" / "killed")
    for moment, (function, details) in KILLS.items():
        request = {"when": "after", **details}
        code, printed = killer("run", run, at=function, **request)
        assert code == -signal.SIGKILL, f"not killed: {moment}\n{printed}"
    code, printed = killer("run", run)
    assert code == 0, printed
    for name in RESULTS:
        assert (run / name).read_bytes() == (finished / name).read_bytes(), name
    for pattern in ("**/*.maps", "**/checkpoints/epoch-*", "folds.csv", "cache/*.npy"):
        assert contents(run, pattern) == contents(finished, pattern), pattern
    assert killer("run", run)[1].count("up to date") == 1 + 2 + 4 + 1 + 1


def test_killed_while_a_submission_is_replaced(copied, killer, invoke):
    """Between the old pair and the new one there is none, and what is there is taken as ours."""
    words = ["run", copied, "--set", "ensemble.bootstrap_samples=150"]
    code, _ = killer(*words, at="goldfold.files:write_json", argument="first/submission.json",
                     when="after")  # fmt: skip
    assert code == -signal.SIGKILL
    assert not (copied / "submission.csv").exists()
    assert invoke(*words).code == 0
    facts = json.loads((copied / "submission.json").read_text())
    assert facts["settings"]["ensemble"]["bootstrap_samples"] == 150


def test_killed_while_a_training_is_removed(copied, killer, invoke):
    """What `--overwrite` left half removed is not taken for a finished training."""
    fold = copied / "models/tiny/seed-0/fold-0/stage-1"
    before = (fold / "result.json").read_bytes()
    code, _ = killer("train", "run", copied, "--fold", 0, "--overwrite", at="shutil:rmtree",
                     when="before")  # fmt: skip
    assert code == -signal.SIGKILL
    assert (fold / "checkpoints").exists()
    again = invoke("train", "run", copied, "--fold", 0)
    assert again.code == 0
    assert "fold-0: up to date" not in again.err
    assert (fold / "result.json").read_bytes() == before


def test_temporary_files_of_killed_commands_are_removed(copied, invoke):
    old, new = copied / ".folds.csv.123.tmp", copied / "stages" / ".folds.json.456.tmp"
    for path in (old, new):
        path.write_text("half a ta")
    os.utime(old, (0, 0))
    assert invoke("run", copied).code == 0
    assert (old.exists(), new.exists()) == (False, True)


def test_interrupted_by_the_user(synthetic, killer, init_run, tmp_path):
    run = init_run(synthetic / "data", tmp_path / "run")
    assert killer("folds", "build", run)[0] == 0
    words = ["train", "run", run, "--fold", 0]
    code, printed = killer(*words, at="goldfold.training.step:Step.take", call=2,
                           when="before", signal=signal.SIGINT)  # fmt: skip
    assert code == 130
    assert (
        "error: stopped by SIGINT; tiny fold-0 stage-1 is saved after epoch 0, step 2." in printed
    )
    assert printed.endswith("The same command resumes from there.\n")
    assert "Traceback" not in printed
    assert killer(*words)[0] == 0


def test_terminated_by_the_system(synthetic, finished, killer, init_run):
    run = init_run(synthetic / "data", synthetic / "runs" / "terminated")
    code, printed = killer("train", "run", run, at="goldfold.training.step:Step.take", call=1,
                           when="before", signal=signal.SIGTERM)  # fmt: skip
    assert code != 143  # without folds there is nothing to train
    killer("folds", "build", run)
    code, printed = killer("train", "run", run, at="goldfold.training.step:Step.take", call=3,
                           when="before", signal=signal.SIGTERM)  # fmt: skip
    assert code == 143
    assert "stopped by SIGTERM; tiny fold-0 stage-1 is saved after epoch" in printed
    assert killer("run", run)[0] == 0
    for name in ("submission.csv", "ensemble.json"):
        assert (run / name).read_bytes() == (finished / name).read_bytes()
