"""Which jobs can begin, as others finish: plain data, for whatever carries them out.

An executor takes jobs that are ready, does them anywhere and in any order, and says how each ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldfold.pipeline.job import Job

_Fold = tuple[str, int, int]
"""Model, seed and fold."""


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
    choice of the engine. That needs the networks of one fold, of whichever is trained first. What
    is not in the graph is taken to be done.
    """

    def __init__(self, jobs: Sequence[Job], cost: Callable[[Job], float] = lambda job: 1.0) -> None:
        """Take the jobs, in the order in which those that are ready begin.

        Args:
            jobs: what to do.
            cost: how much work a job is, in any unit.
        """
        self._needs = {job: {other for other in jobs if _needs(job, other)} for job in jobs}
        self._trainings = _trainings_to_predict_with(jobs)
        self._waiting = list(jobs)
        self._running: set[Job] = set()
        self._done: set[Job] = set()
        self._lost: set[Job] = set()
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
        """Return the next job that can begin, which then counts as running; None if none can.

        The choice of the engine comes back as that on a fold that is trained.
        """
        for job in self._waiting:
            if self._needs[job] <= self._done and (job.kind != "engine" or self._trained(job)):
                self._waiting.remove(job)
                taken = self._on_trained_fold(job) if job.kind == "engine" else job
                self._running.add(taken)
                return taken
        return None

    def _trained(self, engine: Job) -> list[_Fold]:
        """Return the folds whose networks are there, that of the job first."""
        folds = [fold for fold, needed in self._trainings.items() if needed <= self._done]
        return sorted(folds, key=lambda fold: fold != _fold_of(engine))

    def _on_trained_fold(self, engine: Job) -> Job:
        """Let the engine be chosen on a fold that is trained, in place of one that may not be."""
        model, seed, fold = self._trained(engine)[0]
        chosen = replace(engine, model=model, seed=seed, fold=fold)
        self._needs[chosen] = self._needs.pop(engine)
        self.cost[chosen] = self.cost[engine]
        for needed in self._needs.values():
            if engine in needed:
                needed.remove(engine)
                needed.add(chosen)
        return chosen

    def finish(self, job: Job) -> None:
        """Say that a running job is done."""
        self._running.remove(job)
        self._done.add(job)

    def fail(self, job: Job) -> None:
        """Say that a running job failed: what needs it is given up."""
        self._running.remove(job)
        self._lost.add(job)
        while more := [other for other in self._waiting if self._is_hopeless(other)]:
            self._lost.update(more)
            self.dropped += more
            self._waiting = [other for other in self._waiting if other not in self._lost]

    def _is_hopeless(self, job: Job) -> bool:
        """Return whether a job needs what failed or was given up; the engine needs any one fold."""
        if job.kind == "engine":
            return all(needed & self._lost for needed in self._trainings.values())
        return bool(self._needs[job] & self._lost)

    def put_back(self, job: Job) -> None:
        """Say that a running job was stopped: it is neither done nor failed."""
        self._running.remove(job)
        self._waiting.insert(0, job)

    def left(self) -> list[Job]:
        """Return the jobs that have not begun."""
        return list(self._waiting)


def _fold_of(job: Job) -> _Fold:
    return job.model, job.seed, job.fold


def _trainings_to_predict_with(jobs: Sequence[Job]) -> dict[_Fold, set[Job]]:
    """Return the folds whose networks predict or choose the engine, with their trainings."""
    folds: dict[_Fold, set[Job]] = {_fold_of(job): set() for job in jobs if job.kind != "train"}
    for job in jobs:
        if job.kind == "train" and _fold_of(job) in folds:
            folds[_fold_of(job)].add(job)
    return folds


def _needs(job: Job, other: Job) -> bool:
    """Return whether a job can only begin when the other is done; the engine needs any fold."""
    if other.kind == "train":
        before = job.kind == "predict" or (
            job.kind == "train" and int(other.part) == int(job.part) - 1
        )
        return _fold_of(job) == _fold_of(other) and before
    return other.kind == "engine" and job.kind == "predict"
