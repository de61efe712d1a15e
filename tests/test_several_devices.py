"""Folds side by side, through the command line: the same bytes, failures told together, Ctrl-C."""

import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

RESULTS = ("images.csv", "folds.csv", "ensemble.json", "submission.csv")
TWO = ("--devices", "cpu,cpu")


def test_one_of_two_trainings_fails_and_the_rest_has_the_bytes_of_one_device(
    synthetic, finished, invoke, init_run, contents
):
    """One command for two devices, as each of their processes takes seconds to load PyTorch."""
    run = init_run(synthetic / "data", synthetic / "runs" / "two-at-once")
    spoilt = run / "models/tiny/seed-0/fold-1/stage-1/checkpoints"
    spoilt.parent.mkdir(parents=True)
    spoilt.write_text("in the way")
    done = invoke("run", run, *TWO)
    assert done.code == 1
    assert "devices: CPU 1, CPU 2; one job each at a time" in done.err
    assert "train and predict on 2 devices: 0/1,000" in done.err
    assert done.err.count("image cache train-64-gray: building") == 1  # not by each process
    error = done.err[done.err.index("error: ") :]
    # Two trainings, the engine, four predictions.
    title = "error: 1 of 7 jobs failed, and 2 that depend on them were not started:"
    assert error.startswith(title)
    assert "train tiny seed-0 fold-1 stage-1: " in error
    assert Path(re.search(r"log: (\S+)", error)[1]).is_file()
    assert "the same command tries these again" in error
    assert "jobs 4/7" in done.err
    folds = run / "models/tiny/seed-0"
    assert not (folds / "fold-1/stage-1/result.json").exists()
    made = {}
    for pattern in ("**/*.maps", "**/checkpoints/epoch-*", "cache/*.npy"):
        made |= contents(run, pattern)
    expected = contents(finished)
    assert sum(name.endswith(".maps") for name in made) == 2  # of fold 0
    assert {name: data == expected[name] for name, data in made.items()} == dict.fromkeys(
        made, True
    )

    spoilt.unlink()
    again = invoke("run", run, "--devices", "cpu")
    assert again.code == 0, again.err
    assert "train tiny seed-0 fold-0: up to date" in again.err
    for name in RESULTS:
        assert (run / name).read_bytes() == (finished / name).read_bytes(), name
    for pattern in ("**/*.maps", "**/checkpoints/epoch-*", "cache/*.npy"):
        assert contents(run, pattern) == contents(finished, pattern), pattern
    assert "devices: " not in invoke("run", run, *TWO).err  # nothing is left to share out


def test_interrupted_by_the_user_both_trainings_are_saved(fresh, invoke):
    long = ["--set", "models.0.stages.0.epochs=500"]
    assert invoke("folds", "build", fresh, *long).code == 0
    logs = [fresh / f"logs/train-tiny-seed-0-fold-{fold}-stage-1.log" for fold in (0, 1)]

    def interrupt_when_both_train():
        until = time.monotonic() + 120
        while not all(log.is_file() and "stage-1: 0/" in log.read_text() for log in logs):
            if time.monotonic() > until:
                break
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_when_both_train, daemon=True).start()
    done = invoke("train", "run", fresh, *TWO, *long)
    assert done.code == 130, done.err
    told = "error: stopped by SIGINT; 0 of 2 jobs are done, and work in progress is saved"
    assert told in done.err
    assert done.err.count("stopped by SIGINT; tiny fold-") == 2
    planned = invoke("train", "run", fresh, "--dry-run", *long).out
    assert len(re.findall(r"would resume after epoch \d+ of 500", planned)) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--devices", "tpu"], "expected devices such as 0,1"),
        (["train", "run", "--devices", "0,0"], "GPU 0 twice"),
        (["predict", "run", "--devices", ""], "expected devices such as 0,1"),
        (["run", "--devices", "99"], "there is no GPU 99: this process sees"),
        (["train", "run", "--devices", "99"], "there is no GPU 99"),
    ],
)
def test_devices_that_are_not_there_are_refused(finished, invoke, words, told):
    done = invoke(*words[:-2], finished, *words[-2:])
    assert done.code == 2
    assert told in done.err


def test_under_torchrun_no_devices_are_named(finished, invoke, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    done = invoke("train", "run", finished, "--devices", "cpu,cpu")
    assert done.code == 2
    assert "torchrun chooses the devices itself" in done.err


def test_one_device_works_in_this_process(copied, invoke):
    assert invoke("run", copied, "--devices", "cpu").code == 0
    assert not (copied / "logs").exists()
