"""What a process that does jobs says to the one that started it: one JSON object a line.

{"kind": "ready", "device": "CPU, 1 thread, float32", "note": ""}
{"kind": "say", "text": ...}      {"kind": "warn", "text": ...}
{"kind": "part", "done": 3, "total": 80, "epoch": "1/12"}
{"kind": "done"}                  {"kind": "failed", "message": ..., "exit_code": 2}
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from goldfold.progress import Progress, Task

_SECONDS = 0.25  # between two reports of how far a piece of work is


class Reports:
    """The way to the process that started this one; it may have ended."""

    def __init__(self, stream: TextIO) -> None:
        """Take where lines are written."""
        self._stream, self._lock = stream, threading.Lock()

    def send(self, kind: str, **values: object) -> None:
        """Write one line."""
        line = json.dumps({"kind": kind, **values}, default=str)
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except OSError:
                return  # nobody listens any more; the work goes on until it is told to stop


def read_report(line: str) -> dict[str, Any]:
    """Return what a line says; a line that is none of ours is something said."""
    try:
        values = json.loads(line)
    except ValueError:
        values = None
    known = isinstance(values, dict) and isinstance(values.get("kind"), str)
    return values if known else {"kind": "say", "text": line.rstrip("\n")}


class ReportingProgress:
    """A progress that reports to another process, and tells a log the same in lines."""

    def __init__(self, reports: Reports, log: Progress) -> None:
        """Take both."""
        self._reports, self._log = reports, log

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Yield a task whose steps are reported a few times a second."""
        with self._log.task(description, total) as logged:
            task = _ReportedTask(self._reports, logged, description, total)
            yield task
            task.report()

    def say(self, text: str) -> None:
        """Report a line."""
        self._log.say(text)
        self._reports.send("say", text=text)

    def warn(self, text: str) -> None:
        """Report a warning."""
        self._log.warn(text)
        self._reports.send("warn", text=text)


class _ReportedTask:
    def __init__(self, reports: Reports, logged: Task, description: str, total: int) -> None:
        self._reports, self._logged, self._total = reports, logged, total
        self._description, self._done, self._epoch = description, 0, ""
        self._reported = 0.0

    def advance(self, steps: int = 1, **fields: object) -> None:
        """Count, and report if the last report is a while ago."""
        self._logged.advance(steps, **fields)
        self._done += steps
        self._epoch = str(fields.get("epoch", self._epoch))
        if time.monotonic() - self._reported >= _SECONDS:
            self.report()

    def report(self) -> None:
        """Say how far it is."""
        self._reported = time.monotonic()
        self._reports.send(
            "part",
            task=self._description,
            done=self._done,
            total=self._total,
            epoch=self._epoch,
        )
