"""Does jobs on this machine, one per device at a time, each device with a process of its own."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any

from goldfold.errors import Stopped
from goldfold.pipeline.job_graph import Failure
from goldfold.pipeline.job_worker import Opening, Order
from goldfold.pipeline.overall_progress import STEPS, OverallProgress
from goldfold.pipeline.worker_process import COMMAND, WorkerProcess
from goldfold.training.stopping import LEAST_MARGIN, TIME_IS_UP

if TYPE_CHECKING:
    from goldfold.pipeline.job import Job
    from goldfold.pipeline.job_graph import JobGraph
    from goldfold.progress import Progress

_SAID_BEFORE = ("device: ", "image cache ")
"""Beginnings of lines that say nothing new: devices and caches are named before jobs begin."""
_OF_ONE_JOB = ("out of memory", "continuing ")
"""Words of lines that tell what happened to a job, though others may say the same."""


@dataclass(frozen=True)
class Slot:
    """A device, or a share of the processor, with the process that may use it.

    Attributes:
        label: what lines call it.
        opening: what its worker is for.
        environment: of its worker.
        required: if it cannot be used, nothing is done; others are left out.
    """

    label: str
    opening: Opening
    environment: dict[str, str]
    required: bool = True


@dataclass(frozen=True)
class JobOptions:
    """How jobs are done: when to stop, and what their orders say."""

    logs: Path
    deadline: float | None = None
    extend_epochs: int = 0
    share: tuple[int, int] = (0, 1)

    def order(self, job: Job) -> Order:
        """Return the order for a job that begins now."""
        left = None if self.deadline is None else max(self.deadline - monotonic(), 1.0)
        extend = self.extend_epochs if job.kind == "train" else 0
        log = self.logs / f"{job.name.replace(' ', '-')}.log"
        return Order(job.to_json(), str(log), left, extend, self.share)


class _Worker:
    """A slot with its process and the job that it does."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.process: WorkerProcess | None = None
        self.job: Job | None = None
        self.ready = self.refused = self.introduced = self.dismissed = False
        self.failure: dict[str, Any] | None = None


class LocalExecutor:
    """Carries out a graph of jobs on the devices of this machine.

    Attributes:
        failures: of jobs.
        refusals: what devices that cannot be used said.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        options: JobOptions,
        progress: Progress,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Take the devices; nothing is started yet."""
        self._workers = [_Worker(slot) for slot in slots]
        self._options, self._progress, self._command = options, progress, command
        self._reports: queue.Queue[tuple[WorkerProcess, dict[str, Any] | None]] = queue.Queue()
        self._said: set[str] = set()
        self._signal, self._time_is_up = 0, False
        self.failures: list[Failure] = []
        self.refusals: list[str] = []

    def perform(self, graph: JobGraph, description: str) -> None:
        """Do the jobs until none is left that could be done.

        Raises:
            Stopped: a signal came or the time is up; work in progress is saved.
        """
        self._options.logs.mkdir(parents=True, exist_ok=True)
        with (
            self._signals_forwarded(),
            self._workers_ended(),
            self._progress.task(description, STEPS) as task,
        ):
            self._loop(graph, OverallProgress(graph, task))
        if not self._signal and not self._time_is_up:
            return
        for failure in self.failures:
            self._progress.warn(f"{failure.job}: {failure.message}")
        by_signal = f"stopped by {signal.Signals(self._signal).name}" if self._signal else ""
        raise Stopped(
            f"{by_signal or 'stopped because the time is up'}; {graph.done} of {len(graph)} jobs "
            "are done, and work in progress is saved. The same command resumes from there.",
            128 + self._signal if self._signal else TIME_IS_UP,
        )

    # --- the loop -------------------------------------------------------------------------------

    def _loop(self, graph: JobGraph, overall: OverallProgress) -> None:
        while True:
            self._hand_out(graph)
            if not any(worker.process for worker in self._workers):
                return
            process, report = self._reports.get()
            worker = next((w for w in self._workers if w.process is process), None)
            if worker is None:
                continue
            if report is None:
                self._ended(worker, graph, overall)
            else:
                self._take(worker, report, graph, overall)

    def _hand_out(self, graph: JobGraph) -> None:
        """Give jobs that can begin to free devices; let go of those that are needed no more."""
        for worker in self._workers:
            if worker.job is not None or worker.refused:
                continue
            if worker.process is None:
                if graph.left() and not self._is_stopping(graph):
                    self._start(worker)
            elif self._is_stopping(graph) or not graph.left():
                if not worker.dismissed:
                    worker.dismissed = True
                    worker.process.close()
                    worker.process.end_soon()
            elif worker.ready and (job := graph.take()):
                worker.job = job
                worker.process.give(self._options.order(job))

    def _start(self, worker: _Worker) -> None:
        slot = worker.slot
        log = self._options.logs / f"{slot.label.lower().replace(' ', '-')}.log"
        worker.ready, worker.dismissed, worker.failure = False, False, None
        worker.process = WorkerProcess(
            slot.opening, slot.environment, log, self._reports, self._command
        )

    def _is_stopping(self, graph: JobGraph) -> bool:
        deadline = self._options.deadline
        if deadline is not None and graph.left() and monotonic() + LEAST_MARGIN >= deadline:
            self._time_is_up = True
        return bool(self._signal) or self._time_is_up or self._required_refused()

    def _required_refused(self) -> bool:
        return any(worker.refused and worker.slot.required for worker in self._workers)

    def _take(
        self, worker: _Worker, report: dict[str, Any], graph: JobGraph, overall: OverallProgress
    ) -> None:
        """Take a report of a worker."""
        kind, job, label = report["kind"], worker.job, worker.slot.label
        if kind == "ready":
            worker.ready = True
            if not worker.introduced:
                worker.introduced = True
                self._progress.say(f"{label}: {report['device']}")
                if report["note"]:
                    self._progress.warn(f"{label}: {report['note']}")
        elif kind in ("say", "warn"):
            self._pass_on(job, label, kind, str(report["text"]))
        elif kind == "failed":
            worker.failure = report
        elif kind == "part" and job is not None:
            overall.report(job, label, report)
        elif kind == "done" and job is not None:
            graph.finish(job)
            worker.job = None
            overall.end(job, label)

    def _pass_on(self, job: Job | None, label: str, kind: str, text: str) -> None:
        """Show a line of a job, unless another has said the same of the machine or the run."""
        name = job.name if job is not None else label
        said = f"{name}: {text}" if any(words in text for words in _OF_ONE_JOB) else text
        if said in self._said or text.startswith(_SAID_BEFORE):
            return
        self._said.add(said)
        bare = text.removeprefix(job.prefix) if job is not None else text
        show = self._progress.say if kind == "say" else self._progress.warn
        show(f"{name}: {bare}")

    def _ended(self, worker: _Worker, graph: JobGraph, overall: OverallProgress) -> None:
        """Take note that a worker's process has ended."""
        process, job, failure = worker.process, worker.job, worker.failure
        if process is None:
            return
        worker.process = worker.job = None
        message = str(failure["message"]) if failure is not None else process.how_it_ended()
        if job is None:
            asked = worker.dismissed or self._signal or self._required_refused()
            if not worker.ready and (not asked or failure is not None):
                self._refuse(worker, message)
            return
        if self._was_stopped(failure):
            graph.put_back(job)
            self._progress.say(f"{job.name}: {message}")
            return
        graph.fail(job)
        overall.end(job, worker.slot.label)
        code = int(failure["exit_code"]) if failure is not None else 1
        log = Path(self._options.order(job).log)
        self.failures.append(Failure(job.name, message, code, log))
        self._progress.warn(f"{job.name} failed: {message.splitlines()[0]}")
        for dropped in graph.dropped:
            overall.drop(dropped)

    def _refuse(self, worker: _Worker, message: str) -> None:
        """Leave a device out; where it was asked for by name, let the others stop."""
        worker.refused = True
        self.refusals.append(f"{worker.slot.label}: {message}")
        if worker.slot.required:
            self._send_all(signal.SIGTERM)

    def _was_stopped(self, failure: dict[str, Any] | None) -> bool:
        """Return whether a job ended because it was asked to, not because it failed."""
        if failure is not None and failure.get("exit_code") == TIME_IS_UP:
            self._time_is_up = True
            return True
        asked = bool(self._signal) or self._required_refused()
        return asked and (failure is None or bool(failure.get("stopped")))

    def _send_all(self, number: int) -> None:
        for worker in self._workers:
            if worker.process is not None:
                worker.process.send_signal(number)

    # --- signals, and the end -------------------------------------------------------------------

    @contextmanager
    def _signals_forwarded(self) -> Iterator[None]:
        """Pass SIGTERM and SIGINT on to the workers; a second SIGINT interrupts them at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def forward(number: int, frame: FrameType | None) -> None:
            again = self._signal and number == signal.SIGINT
            self._signal = number
            self._send_all(number)
            if again:
                raise KeyboardInterrupt

        try:
            for number in before:
                signal.signal(number, forward)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def _workers_ended(self) -> Iterator[None]:
        """End all workers, whatever happens here; trainings in work are saved."""
        try:
            yield
        finally:
            processes = [worker.process for worker in self._workers if worker.process is not None]
            for process in processes:
                process.close()
            for process in processes:
                process.wait()
