"""A job: a piece of work of a run as plain data, for this process, another one, or another machine.

A job names what is to be done, never an object in memory. Its results are files of the run
directory. Doing a finished job again does nothing; one that was interrupted resumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from goldfold.errors import InputError
from goldfold.pipeline.engine_choice import engine_is_known, resolve_engine
from goldfold.pipeline.fold_trainings import choose_trainings
from goldfold.pipeline.open_run import OpenRun
from goldfold.pipeline.prediction_stage import predict_jobs
from goldfold.pipeline.predictions import (
    images_fingerprints,
    is_predicted,
    splits_of,
    store_facts,
    store_of,
)
from goldfold.pipeline.stage_runs import stage_runs
from goldfold.pipeline.training_stage import choose_machine, train_jobs
from goldfold.progress import SILENT, Progress

if TYPE_CHECKING:
    from goldfold.pipeline.fold_trainings import FoldTraining

JobKind = Literal["train", "predict", "engine"]


@dataclass(frozen=True)
class Job:
    """One stage of a fold's training, the predictions of a fold, or the choice of the engine.

    Attributes:
        run: run directory.
        kind: what is done.
        model: name of a model of the settings.
        seed: one of its seeds.
        fold: that is held out.
        part: number of the training stage, from 1; `out-of-fold` or `test`; or `any` for the
            engine, which is chosen once a run, on this fold's networks.
        assignments: changes of settings, as of --set.

    >>> job = Job("runs/first", "train", "unet", 0, 4, "1")
    >>> Job.from_json(job.to_json()) == job
    True
    """

    run: str
    kind: JobKind
    model: str
    seed: int
    fold: int
    part: str
    assignments: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the job as JSON values."""
        return asdict(self) | {"assignments": list(self.assignments)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Job:
        """Return the job that `to_json` gave."""
        return cls(**{**values, "assignments": tuple(values["assignments"])})

    @property
    def name(self) -> str:
        """What messages call it."""
        if self.kind == "engine":
            return self.kind
        part = f"stage-{self.part}" if self.kind == "train" else self.part
        return f"{self.kind} {self.model} seed-{self.seed} fold-{self.fold} {part}"

    @property
    def prefix(self) -> str:
        """What lines about it begin with when it does not share its process with others."""
        if self.kind == "train":  # as the trainer calls it
            return f"{self.model} fold-{self.fold} stage-{self.part}: "
        return f"{self.name}: "

    def open(self, progress: Progress = SILENT) -> OpenRun:
        """Return the run of the job."""
        return OpenRun.open(Path(self.run), self.assignments, progress)

    def is_done(self) -> bool:
        """Return whether its results are there, made from what there is now.

        Raises:
            InputError: there is no such model, seed or fold, or the run has no folds.
        """
        run = self.open()
        training = self._training(run)
        if self.kind == "engine":
            return engine_is_known(run)
        if self.kind == "train":
            (stage,) = stage_runs(run, [training], int(self.part))
            return stage.fold_run.finished() and not stage.fold_run.differences()
        if not (training.folder(run) / "result.json").is_file():
            return False
        prints = images_fingerprints(run, [self.fold], self._split)
        facts = store_facts(run, training, prints[self.fold], self._split)
        return is_predicted(store_of(run, training, self._split), facts)

    def perform(
        self,
        progress: Progress = SILENT,
        *,
        run: OpenRun | None = None,
        stop_after: float | None = None,
        extend_epochs: int = 0,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """Do the job; what is done already is passed over.

        Args:
            progress: told of everything that is done.
            run: its run, where it is open already.
            stop_after: seconds after which a training is saved and stopped.
            extend_epochs: train so many more epochs if the stage is finished.
            share: (k, n): predict only every n-th batch from the k-th.

        Raises:
            InputError: there is no such model, seed or fold, what it needs is not finished, or
                its results were made from something else.
            Stopped: a signal came or the time is up; the state is saved.
        """
        run = self.open(progress) if run is None else run.with_progress(progress)
        training = self._training(run)
        if self.kind == "train":
            machine = choose_machine(run, stop_after)
            stage = int(self.part)
            train_jobs(run, [training], stage=stage, extend_epochs=extend_epochs, machine=machine)
        elif self.kind == "predict":
            predict_jobs(run, [training], [self._split], share)
        else:
            others = [other for other in choose_trainings(run) if other != training]
            resolve_engine(run, [training, *others], splits_of(run))

    @property
    def _split(self) -> Literal["out-of-fold", "test"]:

        if self.part == "out-of-fold":
            return "out-of-fold"
        if self.part == "test":
            return "test"
        raise InputError(f"{self.name}: expected out-of-fold or test, found {self.part!r}.")

    def _training(self, run: OpenRun) -> FoldTraining:

        for training in choose_trainings(run, self.fold, self.model):
            if training.seed == self.seed:
                return training
        raise InputError(f"model {self.model} has no seed {self.seed}.")
