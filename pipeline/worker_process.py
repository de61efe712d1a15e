"""A worker as the process that started it sees it: orders go in, reports come out."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from goldfold.pipeline.job_reports import read_report
from goldfold.pipeline.job_worker import Opening, Order

# -P: the working directory's files are not taken for modules, as with the command `goldfold`.
COMMAND = (sys.executable, "-P", "-m", "goldfold.pipeline.job_process")
GRACE = 60.0
"""Seconds within which a process has to end that has nothing left to do but save its training."""


class WorkerProcess:
    """A process that does one job after the other.

    Its reports come into a queue shared by all workers, as (worker, report), and (worker, None)
    at least once when it has ended and its device is free. A process that has said that it failed,
    or closed its reports, is killed after `GRACE`. It is in a session of its own, so that Ctrl-C
    reaches it through its starter alone.
    """

    def __init__(
        self,
        opening: Opening,
        environment: Mapping[str, str],
        log: Path,
        reports: queue.Queue[tuple[WorkerProcess, dict[str, Any] | None]],
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Start it.

        Args:
            opening: what it is for.
            environment: with the device that it sees.
            log: file for what is printed outside of jobs.
            reports: where its reports go.
            command: that starts it.
        """
        self.log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(environment),
                start_new_session=True,
                encoding="utf-8",
                errors="replace",
            )
        self._reports = reports
        threading.Thread(target=self._listen, daemon=True).start()
        self._write(opening.to_line())

    def give(self, order: Order) -> None:
        """Give it a job."""
        self._write(order.to_line())

    def close(self) -> None:
        """Tell it that there are no more jobs; one that is busy saves its training and stops."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        with suppress(OSError):
            self._process.send_signal(number)

    def end_soon(self) -> None:
        """Let it be killed after `GRACE`, unless it ends by itself; return at once."""
        threading.Thread(target=self._see_it_end, daemon=True).start()

    def wait(self) -> None:
        """Wait until it has ended; kill it after `GRACE`."""
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):  # a driver that hangs can outlast a kill
                self._process.wait(GRACE)

    def how_it_ended(self) -> str:
        """Return in words how a process ended that said nothing of its end."""
        code = self._process.poll()
        if code is None:
            return "its process cannot be ended"
        if code >= 0:
            return f"its process ended with exit code {code}"
        name = signal.Signals(-code).name
        if -code == signal.SIGKILL:
            return (
                f"its process was killed ({name}), possibly because the machine ran out of memory"
            )
        return f"its process was ended by {name}"

    def _write(self, line: str) -> None:
        with suppress(OSError):  # it has ended, which its reader tells
            if self._process.stdin is not None:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()

    def _listen(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                report = read_report(line)
                self._reports.put((self, report))
                if report["kind"] == "failed":
                    self.end_soon()
        self._see_it_end()

    def _see_it_end(self) -> None:
        self.wait()
        self._reports.put((self, None))
