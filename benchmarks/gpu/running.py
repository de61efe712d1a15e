"""Parts of gpu_check.py at work: each in a process of its own, with a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gpu.report import FAIL, NOT_RUN, Line, read_lines

SIDE_BY_SIDE = 5
LEAST_SECONDS = 5.0
"""A part that has less than this left is not begun."""


@dataclass(frozen=True)
class Plan:
    """A part: its name, where its function is, its limit in seconds, whether time is measured."""

    name: str
    module: str
    function: str
    seconds: float
    timed: bool


@dataclass
class Running:
    """A part at work; `cut` says why it was ended, "" while it was not."""

    plan: Plan
    process: subprocess.Popen[bytes]
    began: float
    cut: str = ""

    def over(self, end: float) -> bool:
        """Return whether it has ended; end it where its limit or the common deadline is reached."""
        if self.process.poll() is not None:
            return True
        now = time.monotonic()
        if now < min(self.began + self.plan.seconds, end):
            return False
        self.cut = "the time for all parts was over" if now >= end else "its time limit"
        self.end()
        return True

    def end(self) -> None:
        """End it with all that it has started: the next part may measure time."""
        self._send(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=3)
        self._send(signal.SIGKILL)
        self.process.wait()

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def lines(self, out: Path) -> list[Line]:
        """Return what it reported, and a line if it was cut short."""
        lines, name = read_lines(out / f"{self.plan.name}.json"), self.plan.name
        if self.cut:
            verdict = NOT_RUN if "all parts" in self.cut else FAIL
            lines.append(Line(name, f"stopped: {self.cut}", f"{self.plan.seconds:.0f} s", verdict))
        elif self.process.returncode:
            lines.append(Line(name, f"ended with {self.process.returncode}", "finishes", FAIL))
        return lines


def start(plan: Plan, command: Sequence[str], out: Path) -> Running:
    """Start a part in a process of its own; what it prints goes to a file."""
    with (out / f"{plan.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command, "--part", plan.name],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    return Running(plan, process, time.monotonic())


def run_parts(
    plans: Sequence[Plan],
    command: Sequence[str],
    out: Path,
    *,
    seconds: float,
    tell: Callable[[list[Line], str], None],
) -> None:
    """Run parts in their order: those that are timed alone, the others side by side.

    Args:
        plans: of the parts.
        command: what runs a part, without the part's name.
        out: where parts write.
        seconds: for all together; what is not reached then is told as such.
        tell: takes the lines of a part that ended, and its name with its seconds.
    """
    end = time.monotonic() + seconds
    waiting: list[Plan] = list(plans)
    running: list[Running] = []
    try:
        _run_all(waiting, running, command, out, end=end, tell=tell)
    finally:
        for part in running:
            part.end()


def _run_all(
    waiting: list[Plan],
    running: list[Running],
    command: Sequence[str],
    out: Path,
    *,
    end: float,
    tell: Callable[[list[Line], str], None],
) -> None:
    while waiting or running:
        while waiting and _may_start(waiting[0], running):
            plan = waiting.pop(0)
            if time.monotonic() > end - LEAST_SECONDS:
                tell([Line(plan.name, "not reached", "-", NOT_RUN)], plan.name)
                continue
            running.append(start(plan, command, out))
        for part in [part for part in running if part.over(end)]:
            running.remove(part)
            took = f"{part.plan.name} took {time.monotonic() - part.began:.0f} s"
            tell(part.lines(out), f"{took}, {max(0.0, end - time.monotonic()):.0f} s left")
        time.sleep(0.1)


def _may_start(plan: Plan, running: Sequence[Running]) -> bool:
    if plan.timed or any(part.plan.timed for part in running):
        return not running
    return len(running) < SIDE_BY_SIDE
