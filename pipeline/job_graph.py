"""Which jobs can begin, as others finish: plain data, for whatever carries them out.

An executor takes jobs that are ready, does them anywhere and in any order, and says how each ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldfold.pipeline.job import Job


@dataclass(frozen=True)
class Failure:
    """A job that failed.

    Attributes:
        job: its name.
        message: what went wrong.
        exit_code: 2 if the user can mend it.
        log: file with everything that the job said, None where there is none.
    """

    job: str
    message: str
    exit_code: int
    log: Path | None = None


class JobGraph:
    """Jobs, each with those that have to be done before it.

    A stage of a fold's training needs the stage before, predictions need the training and the
    choice of the engine, and that needs the networks of one fold. What is not in the graph is
    taken to be done.
    """

    def __init__(self, jobs: Sequence[Job], cost: Callable[[Job], float] = lambda job: 1.0) -> None:
        """Take the jobs, in the order in which those that are ready begin.

        Args:
            jobs: what to do.
            cost: how much work a job is, in any unit.
        """
        self._needs = {job: {other for other in jobs if _needs(job, other)} for job in jobs}
        self._waiting = list(jobs)
        self._running: set[Job] = set()
        self._done: set[Job] = set()
        self.cost = {job: cost(job) for job in jobs}
        self.dropped: list[Job] = []
        """Jobs that were given up, because one that they need failed."""

    def __len__(self) -> int:
        """Return how many jobs there are."""
        return len(self._needs)

    @property
    def done(self) -> int:
        """How many are done."""
        return len(self._done)

    @property
    def most_at_once(self) -> int:
        """How many of the jobs that have not begun could be in work at the same time."""
        trainings = {
            (job.model, job.seed, job.fold) for job in self._waiting if job.kind == "train"
        }
        return max(len(trainings), sum(job.kind == "predict" for job in self._waiting))

    def take(self) -> Job | None:
        """Return the next job that can begin, which then counts as running; None if none can."""
        for job in self._waiting:
            if self._needs[job] <= self._done:
                self._waiting.remove(job)
                self._running.add(job)
                return job
        return None

    def finish(self, job: Job) -> None:
        """Say that a running job is done."""
        self._running.remove(job)
        self._done.add(job)

    def fail(self, job: Job) -> None:
        """Say that a running job failed: what needs it is given up."""
        self._running.remove(job)
        lost = {job}
        while more := [other for other in self._waiting if self._needs[other] & lost]:
            lost.update(more)
            self.dropped += more
            self._waiting = [other for other in self._waiting if other not in lost]

    def put_back(self, job: Job) -> None:
        """Say that a running job was stopped: it is neither done nor failed."""
        self._running.remove(job)
        self._waiting.insert(0, job)

    def left(self) -> list[Job]:
        """Return the jobs that have not begun."""
        return list(self._waiting)


def _needs(job: Job, other: Job) -> bool:
    """Return whether a job can only begin when the other is done."""
    same = (job.model, job.seed, job.fold) == (other.model, other.seed, other.fold)
    if other.kind == "train":
        before = job.kind != "train" or int(other.part) == int(job.part) - 1
        return same and before and job != other
    return other.kind == "engine" and job.kind == "predict"
