"""A process that does jobs, one after the other: how it is told what to do, and how it ends.

It reads one JSON object a line from stdin: first which run and device (`Opening`), then jobs
(`Order`). What it has to say goes to stdout as reports, and all that is printed meanwhile into the
job's log. When stdin ends, because whoever started it has ended, it stops as if by SIGTERM: a
training is saved. After a job that failed it ends, so that the next one starts afresh.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from goldfold.errors import GoldfoldError, Stopped
from goldfold.pipeline.job_reports import ReportingProgress, Reports
from goldfold.progress import Progress
from goldfold.progress_lines import LineProgress


@dataclass(frozen=True)
class Opening:
    """What a worker is for: a run, its changed settings, one device, threads of the loader."""

    run: str
    assignments: tuple[str, ...]
    device: str
    workers: int

    def to_line(self) -> str:
        """Return it as the first line."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Order:
    """A job, as JSON values, with how to do it.

    Attributes:
        job: of `Job.to_json`.
        log: file that gets all that is printed meanwhile.
        stop_after: seconds after which a training is saved and stopped.
        extend_epochs: of a finished stage.
        share: (k, n): only every n-th batch of the predictions, from the k-th.
    """

    job: Mapping[str, Any]
    log: str
    stop_after: float | None = None
    extend_epochs: int = 0
    share: tuple[int, int] = (0, 1)

    def to_line(self) -> str:
        """Return it as a line."""
        return json.dumps(asdict(self))


Perform = Callable[[Order, Progress], None]


def serve(open_worker: Callable[[Opening, Reports], Perform]) -> int:
    """Do the jobs that come by what `open_worker` returns; return the exit code."""
    reports = Reports(_own_stdout())
    orders = _Orders(sys.stdin)
    try:
        first = orders.take()
        if first is None:
            return 0
        opening = Opening(**{**first, "assignments": tuple(first["assignments"])})
        perform = open_worker(opening, reports)
        while (values := orders.take()) is not None:
            perform_order(Order(**{**values, "share": tuple(values["share"])}), perform, reports)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Stopped as stopped:
        reports.send("failed", message=str(stopped), exit_code=stopped.exit_code, stopped=True)
        return stopped.exit_code
    except GoldfoldError as error:
        reports.send("failed", message=str(error), exit_code=error.exit_code)
        return error.exit_code
    except Exception as error:
        traceback.print_exc()
        reports.send("failed", message=_in_words(error), exit_code=1)
        return 1
    return 0


def _in_words(error: Exception) -> str:
    """Return what to say of an error that nobody foresaw; the log has the traceback."""
    short = isinstance(error, MemoryError)
    if "torch" in sys.modules:
        from goldfold.training.memory import is_out_of_memory

        short = is_out_of_memory(error)
    if short:
        return "out of memory. Lower batch_size or image_size, or close other programs."
    return f"{type(error).__name__}: {error}"


def perform_order(order: Order, perform: Perform, reports: Reports) -> None:
    """Do a job, with all that is printed meanwhile in its log."""
    log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    sys.stderr.flush()
    os.dup2(log, 2)
    os.dup2(log, 1)
    os.close(log)
    perform(order, ReportingProgress(reports, LineProgress(sys.stderr)))
    reports.send("done")


def _own_stdout() -> TextIO:
    """Return stdout for reports alone; what others print there goes to stderr from now on."""
    sys.stdout.flush()
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


class _Orders:
    """Lines from whoever started this process, whose end is noticed even while a job runs."""

    def __init__(self, stream: TextIO) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._idle = False
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def take(self) -> dict[str, Any] | None:
        """Return the next line's values, None if there are no more."""
        self._idle = True
        line = self._lines.get()
        self._idle = False
        return None if line is None else dict(json.loads(line))

    def _read(self, stream: TextIO) -> None:
        for line in stream:
            self._lines.put(line)
        if not self._idle:
            os.kill(os.getpid(), signal.SIGTERM)
        self._lines.put(None)
