"""The stages of a run as objects: what each is made from, whether it is current, how it is made.

`goldfold run` is a loop over them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.competitions.images_table import test_images
from goldfold.files import read_json
from goldfold.pipeline.ensemble_stage import ensemble_made_from, ensure_ensemble
from goldfold.pipeline.fold_trainings import choose_trainings, stage_numbers
from goldfold.pipeline.folds_stage import ensure_folds, folds_made_from, plan_folds
from goldfold.pipeline.folds_words import fold_lines
from goldfold.pipeline.images_stage import images_are_current, images_made_from
from goldfold.pipeline.job import Job
from goldfold.pipeline.job_list import Wanted, job_of
from goldfold.pipeline.open_questions import refuse_open_questions
from goldfold.pipeline.predictions import (
    images_fingerprints,
    is_predicted,
    ready_jobs,
    splits_of,
    store_facts,
    store_of,
)
from goldfold.pipeline.side_by_side import predict_all, train_all
from goldfold.pipeline.stage_runs import stage_runs
from goldfold.pipeline.submission_stage import ensure_submission, submission_made_from
from goldfold.pipeline.training_words import training_lines
from goldfold.rundirectory import recorded
from goldfold.text_table import Line

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.training.runtime import Machine


class Stage(ABC):
    """A stage of a run.

    Attributes:
        run: the run.
    """

    name: str

    def __init__(self, run: OpenRun) -> None:
        """Take the run; nothing is read yet."""
        self.run = run

    @abstractmethod
    def made_from(self) -> Any:
        """Return what the stage depends on now, as JSON values.

        Raises:
            InputError: what it needs is missing or out of date.
        """

    @abstractmethod
    def is_current(self) -> bool:
        """Return whether its results are there, made from `made_from`.

        Raises:
            InputError: as `made_from`.
        """

    @abstractmethod
    def make(self) -> None:
        """Make the results; what is current is passed over.

        Raises:
            InputError: what it needs is missing, or results of something else would be lost.
        """

    def jobs(self) -> list[Job]:
        """Return the parts that can be done one by one, elsewhere, in any order."""
        return []

    def lines(self) -> list[Line]:
        """Return the results as text to print."""
        return []


class Images(Stage):
    """images.csv: what the data folder holds."""

    name = "images"

    def made_from(self) -> dict[str, Any]:
        """Return the settings and the files of the competition."""
        return images_made_from(self.run)

    def is_current(self) -> bool:
        """Return whether the data folder is as it was read."""
        return images_are_current(self.run, self.made_from())

    def make(self) -> None:
        """Read the data folder where anything changed."""
        _ = self.run.images


class Folds(Stage):
    """folds.csv: who is held out by which fold."""

    name = "folds"

    def __init__(self, run: OpenRun, retrain: bool = False) -> None:
        """Take the run; `retrain` = trainings that used another table are made again."""
        super().__init__(run)
        self.retrain = retrain

    def made_from(self) -> dict[str, Any]:
        """Return ids, groups, areas and the settings of the split."""
        return folds_made_from(self.run)

    def is_current(self) -> bool:
        """Return whether folds.csv is the split of the present images and settings."""
        return plan_folds(self.run, retrain=self.retrain)[1]

    def make(self) -> None:
        """Split the images anew where images or settings changed."""
        ensure_folds(self.run, retrain=self.retrain)

    def lines(self) -> list[Line]:
        """Return the counts of each fold."""
        return fold_lines(self.run.folds)


class Trainings(Stage):
    """The checkpoints of every model, seed and fold."""

    name = "train"

    def __init__(
        self,
        run: OpenRun,
        overwrite: bool = False,
        machine: Machine | None = None,
        stop_after: str | None = None,
    ) -> None:
        """Take the run; the arguments are those of `stages_of`."""
        super().__init__(run)
        self.overwrite, self.machine, self.stop_after = overwrite, machine, stop_after

    def made_from(self) -> dict[str, Any]:
        """Return what each stage of each fold training depends on, by its name."""
        stages = stage_runs(self.run, choose_trainings(self.run))
        return {stage.name: dict(stage.fold_run.made_from) for stage in stages}

    def is_current(self) -> bool:
        """Return whether all trainings are finished, made from what there is now."""
        return all(job.is_done() for job in self.jobs())

    def make(self) -> None:
        """Train what is not finished; on several devices predict as well what can be by then."""
        trainings = choose_trainings(self.run)
        wanted = Wanted(
            trainings,
            splits=splits_of(self.run),
            overwrite=self.overwrite,
            stop_after=self.stop_after,
        )
        train_all(self.run, wanted, self.machine)

    def jobs(self) -> list[Job]:
        """Return a job for each stage of each fold training, stages of a fold in order."""
        return [
            job_of(self.run, "train", training, str(number))
            for training, number in stage_numbers(choose_trainings(self.run), None)
        ]

    def lines(self) -> list[Line]:
        """Return the best checkpoint of each training."""
        return training_lines(self.run, choose_trainings(self.run))


class Predictions(Stage):
    """Out-of-fold and test predictions of every fold training."""

    name = "predict"

    def made_from(self) -> dict[str, Any]:
        """Return what each store depends on, by its path in the run."""
        facts = {}
        trainings = ready_jobs(self.run)
        for split in splits_of(self.run):
            prints = images_fingerprints(self.run, [training.fold for training in trainings], split)
            for training in trainings:
                path = store_of(self.run, training, split).relative_to(self.run.directory.root)
                facts[path.as_posix()] = store_facts(
                    self.run, training, prints[training.fold], split
                )
        return facts

    def is_current(self) -> bool:
        """Return whether all stores are finished, made from what there is now."""
        root = self.run.directory.root
        return all(is_predicted(root / path, facts) for path, facts in self.made_from().items())

    def make(self) -> None:
        """Predict what is missing."""
        predict_all(self.run, splits_of(self.run))

    def jobs(self) -> list[Job]:
        """Return a job for each store."""
        return [
            job_of(self.run, "predict", training, split)
            for training in choose_trainings(self.run)
            for split in splits_of(self.run)
        ]


class Ensemble(Stage):
    """ensemble.json: blend, thresholds and the honest score."""

    name = "ensemble"

    def made_from(self) -> dict[str, Any]:
        """Return predictions, truth and settings."""
        return ensemble_made_from(self.run)

    def is_current(self) -> bool:
        """Return whether ensemble.json is what would be made now."""
        current = self.run.directory.stage("ensemble").is_current(self.made_from())
        return current and isinstance(recorded(self.run.directory.ensemble), dict)

    def make(self) -> None:
        """Blend, and choose the thresholds, where anything changed."""
        ensure_ensemble(self.run)

    def lines(self) -> list[Line]:
        """Return scores and thresholds."""
        return self.run.task.ensemble_lines(read_json(self.run.directory.ensemble))


class Submission(Stage):
    """The submission, and submission.json."""

    name = "submission"

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self.run.directory.submission(self.run.settings.submission.file)

    def made_from(self) -> dict[str, Any]:
        """Return predictions, thresholds, checkpoints and the sample."""
        return submission_made_from(self.run)

    def is_current(self) -> bool:
        """Return whether the file is what would be written now."""
        current = self.run.directory.stage("submission").is_current(self.made_from())
        return current and self.path.is_file()

    def make(self) -> None:
        """Write the file where anything changed."""
        ensure_submission(self.run)

    def lines(self) -> list[Line]:
        """Return where the file lies."""
        return [f"submission: {self.path}"]


def stages_of(
    run: OpenRun,
    *,
    overwrite: bool = False,
    machine: Machine | None = None,
    stop_after: str | None = None,
) -> list[Stage]:
    """Return the stages of a run in order.

    Without test images there is no submission.

    Args:
        run: the run.
        overwrite: train all folds again.
        machine: where to train in this process; the run's first device unless given.
        stop_after: a duration after which trainings on several devices are saved and stopped.

    Raises:
        InputError: goldfold.toml has open questions, or the data has problems.
    """
    refuse_open_questions(run)
    stages: list[Stage] = [
        Images(run),
        Folds(run, retrain=overwrite),
        Trainings(run, overwrite, machine, stop_after),
        Predictions(run),
        Ensemble(run),
    ]
    return [*stages, Submission(run)] if has_test_images(run) else stages


def has_test_images(run: OpenRun) -> bool:
    """Return whether there is anything to submit."""
    return len(test_images(run.images)) > 0
