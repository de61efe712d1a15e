"""Trainings that are killed, or asked to stop, and started again: do they end with equal bytes?

    python benchmarks/kill_and_resume.py

Trains a tiny network in two stages, with EMA and SWA, once unbroken; then once for each moment
below: the process gets the signal at that moment, the same command resumes, and everything that
is left is compared byte by byte: checkpoints and their facts, the last state (weights, averages,
optimizer), result.json, and history.csv without the columns that tell times. SIGKILL cannot be
answered; SIGTERM and SIGINT end with 143 and 130 once the state is saved. States are written
after every step where the table says so, else after every epoch: what is lost is trained again.

CPU, one thread. Ends with exit code 1 if anything differs or a moment was not reached.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NoReturn

# Before torch is imported: sums of several threads differ in the last bit.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

PRESET = "siim-acr-pneumothorax"
SIDE = 96
STAGE = (
    "{epochs=3, image_size=64, batch_size=6, learning_rate=1e-3, ema=0.9, swa_from=0.4,"
    " keep_checkpoints=4"
)
SETTINGS = (
    'models=[{name="tiny", encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]},'
    f' stages=[{STAGE}}}, {STAGE}, start="averaged"}}]}}]',
    "folds.count=2",
    "folds.train=[0]",
    f"competition.images.shape=[{SIDE},{SIDE}]",
    "workers=2",
)
TIMES = ("seconds", "waiting_seconds", "validation_seconds", "images_per_second")
REACHED = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}

Sent = signal.Signals
States = Literal["step", "epoch"]


@dataclass(frozen=True)
class Moment:
    """The n-th call of a function: before it, or after it, the process gets the signal.

    Attributes:
        words: for the table.
        at: `module:attribute` of the function.
        call: which call.
        after: after the call instead of before.
        states: how often a state is written.
        sent: the signal.
    """

    words: str
    at: str
    call: int = 1
    after: bool = False
    states: States = "epoch"
    sent: Sent = signal.SIGKILL


STEP = "goldfold.training.step:Step.take"
SAVE_STATE = "goldfold.training.fold_files:save_state"
VALIDATE = "goldfold.training.validation:validate"
MOMENTS = (
    Moment("before the first step", STEP),
    Moment("within the first epoch, no state yet", STEP, 2),
    Moment("within the first epoch, before step 2", STEP, 2, states="step"),
    Moment("within the second epoch, states between epochs", STEP, 4),
    Moment("within the second epoch, before its step 2", STEP, 4, states="step"),
    Moment("before the first validation", VALIDATE),
    Moment("before the first validation", VALIDATE, states="step"),
    Moment("between the validations of raw and averaged weights", VALIDATE, 2),
    Moment("a checkpoint's weights stand, not its facts",
           "goldfold.training.checkpoint:write_json"),
    Moment("the checkpoints of an epoch stand, not its state", SAVE_STATE, 2),
    Moment("a state's tensors stand, not its state.json",
           "goldfold.training.state:write_json", 2),
    Moment("a state stands, the one before not yet removed",
           "goldfold.training.state:write_json", 2, after=True),
    Moment("an epoch is over", SAVE_STATE, 2, after=True),
    Moment("stage 1: all epochs are over, no result.json",
           "goldfold.training.fold_files:write_json"),
    Moment("between the stages", "goldfold.training.fold_files:write_json", after=True),
    Moment("within the first epoch of stage 2", STEP, 8, states="step"),
    Moment("within the last epoch of stage 2", STEP, 12),
    Moment("stage 2: all epochs are over, no result.json",
           "goldfold.training.fold_files:write_json", 2),
    Moment("within the first epoch", STEP, 2, sent=signal.SIGTERM),
    Moment("within the second epoch", STEP, 4, sent=signal.SIGTERM),
    Moment("before a validation", VALIDATE, 2, sent=signal.SIGTERM),
    Moment("within the last epoch of stage 2", STEP, 12, sent=signal.SIGTERM),
    Moment("within the second epoch", STEP, 4, sent=signal.SIGINT),
)  # fmt: skip


# --- one process --------------------------------------------------------------------------------


def run_goldfold(words: Sequence[object], log: Path, moment: Moment | None = None) -> int:
    """Run a goldfold command in a fork of this process; return its exit code, -9 if killed."""
    child = os.fork()
    if child == 0:
        _become(words, log, moment)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _become(words: Sequence[object], log: Path, moment: Moment | None) -> NoReturn:
    """Run the command in this process, which ends with it."""
    code: Any = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        _write_states(moment.states if moment else "epoch")
        if moment:
            _arm(moment)
        from goldfold.commands.app import app

        app([str(word) for word in words], prog_name="goldfold")
        code = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _write_states(states: States) -> None:
    """Let states be written as often as can be, instead of every half minute."""
    from goldfold.training.runtime import Machine

    real: Callable[..., Machine] = Machine.choose
    within = 0.0 if states == "step" else float("inf")

    def choose(*words: Any, **named: Any) -> Machine:
        return replace(real(*words, **named), state_seconds=0.0, mid_epoch_seconds=within)

    Machine.choose = choose  # type: ignore[method-assign]


def _arm(moment: Moment) -> None:
    """Replace the function by one that sends this process the signal at the moment."""
    module, _, path = moment.at.partition(":")
    owner: Any = import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real, calls = getattr(owner, name), 0

    def armed(*words: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        due = calls == moment.call
        if due and not moment.after:
            os.kill(os.getpid(), moment.sent)
        result = real(*words, **named)
        if due and moment.after:
            os.kill(os.getpid(), moment.sent)
        return result

    setattr(owner, name, armed)


# --- the comparison -----------------------------------------------------------------------------


def contents(run: Path) -> dict[str, bytes]:
    """Return what a training leaves, by path: every file but the histories' times."""
    files = (path for path in sorted((run / "models").rglob("*")) if path.is_file())
    return {
        path.relative_to(run).as_posix(): _without_times(path)
        for path in files
        if path.suffix in (".safetensors", ".json", ".csv")
    }


def _without_times(path: Path) -> bytes:
    if path.name == "history.csv":
        import pandas as pd

        return pd.read_csv(path, dtype=str).drop(columns=list(TIMES)).to_csv().encode()
    if path.name == "state.json":  # holds the history, too; its tensors are compared
        return b""
    return path.read_bytes()


def differing(written: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """Return the paths that are missing, too many, or of other bytes."""
    names = sorted(written.keys() | expected.keys())
    return [name for name in names if written.get(name) != expected.get(name)]


def train(run: Path, moment: Moment | None = None) -> tuple[int, str]:
    """Train, or resume; return the exit code and what was printed."""
    log = run.parent / f"{run.name}.log"
    code = run_goldfold(["train", "run", run], log, moment)
    return code, log.read_text()


def how_far(run: Path) -> str:
    """Return what the states and results of a broken training say of it, in words."""
    words = "nothing"
    for stage in sorted((run / "models/tiny/seed-0/fold-0").glob("stage-*")):
        state = stage / "state" / "state.json"
        if (stage / "result.json").is_file():
            words = f"{stage.name} finished"
        elif state.is_file():
            facts = json.loads(state.read_text())
            step = f", step {facts['so_far']['step']}" if facts["so_far"]["step"] else ""
            words = f"{stage.name} after epoch {facts['epoch']}{step}"
    return words


def prepare(folder: Path) -> Path:
    """Return a run directory with tables and folds, but without a training."""
    run, log = folder / "run", folder / "prepare.log"
    changes = [word for assignment in SETTINGS for word in ("--set", assignment)]
    for words in (
        ["competition", "synthesize", folder / "data", "--train", 24, "--test", 8, "--size", SIDE],
        ["init", PRESET, "--data", folder / "data", "-o", run, *changes],
        ["folds", "build", run],
    ):
        if run_goldfold(words, log):
            sys.exit(log.read_text())
    return run


def try_moment(base: Path, moment: Moment, expected: dict[str, bytes]) -> tuple[str, bool]:
    """Return a row of the table, and whether all is as it should be."""
    run = base.parent / "broken"
    shutil.copytree(base, run)
    try:
        code, _ = train(run, moment)
        reached, where = code == REACHED[moment.sent], how_far(run)
        again, _ = train(run)
        other = differing(contents(run), expected)
        good = reached and again == 0 and not other
        equal = "yes" if not other else f"no: {', '.join(other[:3])} ({len(other)} in all)"
        if not reached:
            equal = f"not reached (exit code {code})"
        elif again:
            equal = f"no: going on failed with exit code {again}"
        words = f"{moment.sent.name} | {moment.words} | {moment.states} | {code} | {where}"
        return f"| {words} | {equal} |", good
    finally:
        shutil.rmtree(run)


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.parse_args()
    for name in ("goldfold.commands.app", "goldfold.training.fold_run", "goldfold.folds.build"):
        import_module(name)  # once, for all forks
    began, fine = time.monotonic(), []
    with tempfile.TemporaryDirectory() as name:
        base = prepare(Path(name))
        unbroken, twice = base.parent / "unbroken", base.parent / "twice"
        for training in (unbroken, twice):
            shutil.copytree(base, training)
            code, printed = train(training)
            if code:
                sys.exit(printed)
        expected = contents(unbroken)
        same = not differing(contents(twice), expected)
        print(f"{len(expected)} files of an unbroken training; another unbroken one has equal "
              f"bytes: {'yes' if same else 'no'}\n")  # fmt: skip
        print("| signal | moment | states after every | exit code | what was saved | equal bytes |")
        print("|---|---|---|---:|---|---|", flush=True)
        for moment in MOMENTS:
            row, good = try_moment(base, moment, expected)
            fine.append(good)
            print(row, flush=True)
    print(f"\n{sum(fine)} of {len(fine)} as they should be; {time.monotonic() - began:.0f} s")
    sys.exit(0 if same and all(fine) else 1)


if __name__ == "__main__":
    main()
