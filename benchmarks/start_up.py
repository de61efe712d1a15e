"""Time from starting `goldfold train run` to its first finished step, the cache built.

    python benchmarks/start_up.py [--run RUN] [--rounds 3] [--set KEY=VALUE ...]

Without --run a synthetic competition of 1024 px is made and the recipe `quick` taken. The first
start builds tables, folds and image cache and is not counted; after it every round starts the
command in a new process, notes when what is over, and ends it after the first step. No round
finds a state to resume from. A step that is long in itself (a large batch on few cores) is part of
the time, so what it took is printed apart.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

PRESET = "siim-acr-pneumothorax"
MOMENTS = ("interpreter started", "modules imported", "first step begins", "first step finished")


def child(words: Sequence[str]) -> NoReturn:
    """Run goldfold in this process until its first step is finished; print the times as JSON."""
    times = [time.time()]

    from goldfold.commands.app import app
    from goldfold.training import fold_run
    from goldfold.training.step import Step

    assert fold_run  # imported as the command does a moment later, so the order costs nothing
    times.append(time.time())
    real = Step.take

    def take(step: Step, *args: Any, **named: Any) -> Any:
        times.append(time.time())
        real(step, *args, **named)
        step.device.wait()
        times.append(time.time())
        print(json.dumps(times), flush=True)
        os._exit(0)

    Step.take = take  # type: ignore[method-assign, assignment]
    app(list(words), prog_name="goldfold")
    sys.exit("error: the training was finished already; nothing was measured.")


def start(run: Path, changes: Sequence[str]) -> list[float]:
    """Return the seconds from the start of the process to each of the MOMENTS."""
    words = [
        "train",
        "run",
        str(run),
        *(word for assignment in changes for word in ("--set", assignment)),
    ]
    began = time.time()
    done = subprocess.run(
        [sys.executable, __file__, "--child", *words], stdout=subprocess.PIPE, text=True, check=True
    )
    return [moment - began for moment in json.loads(done.stdout.splitlines()[-1])]


def goldfold(*words: object) -> None:
    """Run a goldfold command, its output to stderr."""
    command = [sys.executable, "-m", "goldfold", *map(str, words)]
    subprocess.run(command, check=True, stdout=sys.stderr)


def make_run(folder: Path, options: argparse.Namespace) -> Path:
    """Return a run directory whose folds are built: a new one, or a copy of the one asked for.

    The copy shares nothing that a training writes with the original; its cache is copied, too.
    """
    run = folder / "run"
    changes = [word for assignment in options.set for word in ("--set", assignment)]
    if options.run:
        ignored = shutil.ignore_patterns("models", "predictions")
        data = _data_of(options.run)
        shutil.copytree(options.run, run, ignore=ignored)
        options.set = [f"competition.data={json.dumps(str(data))}", *options.set]
        changes = [word for assignment in options.set for word in ("--set", assignment)]
    else:
        goldfold("competition", "synthesize", folder / "data", "--train", options.images, "--test",
                 8, "--size", options.source_size)  # fmt: skip
        shape = f"competition.images.shape=[{options.source_size}, {options.source_size}]"
        goldfold("init", PRESET, "--data", folder / "data", "-o", run, "--recipe", options.recipe,
                 "--set", shape)  # fmt: skip
    goldfold("folds", "build", run, *changes)
    return run


def _data_of(run: Path) -> Path:
    from goldfold.pipeline.open_run import OpenRun

    return OpenRun.open(run).settings.competition.data


def read_options() -> argparse.Namespace:
    """Return the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--run", type=Path, help="run directory to start; it is copied")
    parser.add_argument("--images", type=int, default=64, help="synthetic training images")
    parser.add_argument("--source-size", type=int, default=1024, help="their side in pixels")
    parser.add_argument("--recipe", default="quick", help="of the preset, without --run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


def main() -> None:
    options = read_options()
    with tempfile.TemporaryDirectory() as name:
        run = make_run(Path(name), options)
        first = start(run, options.set)
        rounds = []
        for _ in range(options.rounds):
            shutil.rmtree(run / "models", ignore_errors=True)
            rounds.append(start(run, options.set))
    print(f"with the cache to be built, once: {first[-1]:.1f} s to the first finished step")
    print(f"\n| moment | s from the start, median of {options.rounds} | slowest |\n|---|---:|---:|")
    for moment, times in zip(MOMENTS, zip(*rounds, strict=True), strict=True):
        print(f"| {moment} | {median(times):.2f} | {max(times):.2f} |")
    steps = [times[-1] - times[-2] for times in rounds]
    print(f"the step itself: {median(steps):.2f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
    main()
