"""What is left to do of a run as jobs: trainings, the choice of the engine, predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goldfold.competitions.images_table import test_images
from goldfold.image_size import height_and_width
from goldfold.pipeline.engine_choice import engine_is_known
from goldfold.pipeline.fold_trainings import FoldTraining
from goldfold.pipeline.image_caches import training_cache, unlabelled_cache
from goldfold.pipeline.job import Job, JobKind
from goldfold.pipeline.job_graph import JobGraph
from goldfold.pipeline.predictions import (
    image_size,
    images_fingerprints,
    is_predicted,
    store_facts,
    store_of,
)
from goldfold.pipeline.stage_runs import stage_runs
from goldfold.pipeline.training_stage import stages_to_train
from goldfold.progress import SILENT

if TYPE_CHECKING:
    from goldfold.image_size import SizeLike
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.predictions import Split
    from goldfold.pipeline.stage_runs import StageRun
    from goldfold.settings import ModelSettings

_BACKWARD = 3.0
"""What a training step costs of a prediction of as many pixels: the backward pass is twice one."""


@dataclass(frozen=True)
class Wanted:
    """What is to be made.

    Attributes:
        trainings: fold trainings.
        stage: of them, only this one, from 1; all unless given.
        trains: whether they are trained, or have been.
        splits: what they predict.
        overwrite: train again.
        extend_epochs: train so many more epochs.
        share: of the predictions.
        stop_after: a duration after which trainings are saved and stopped.
    """

    trainings: Sequence[FoldTraining]
    stage: int | None = None
    trains: bool = True
    splits: Sequence[Split] = ()
    overwrite: bool = False
    extend_epochs: int = 0
    share: tuple[int, int] = (0, 1)
    stop_after: str | None = None


def waiting_stages(run: OpenRun, wanted: Wanted) -> list[StageRun]:
    """Return the stages of trainings that are not finished, without a word about the others."""
    if not wanted.trains:
        return []
    if wanted.overwrite:
        return stage_runs(run, wanted.trainings, wanted.stage)
    quiet = run.with_progress(SILENT)
    return stages_to_train(quiet, wanted.trainings, wanted.stage, wanted.extend_epochs > 0)


def graph_of(run: OpenRun, wanted: Wanted, waiting: Sequence[StageRun]) -> JobGraph:
    """Return the jobs that are not done: trainings, the choice of the engine, predictions."""
    jobs = [job_of(run, "train", stage.job, str(stage.number)) for stage in waiting]
    predictions = [
        job_of(run, "predict", training, split)
        for split in wanted.splits
        for training in _to_predict(run, wanted.trainings, waiting, split)
    ]
    if predictions and not engine_is_known(run):
        predictions.insert(0, job_of(run, "engine", wanted.trainings[0], "any"))
    trainings = {(each.model.name, each.seed, each.fold): each for each in wanted.trainings}
    tests = len(test_images(run.images))

    def cost(job: Job) -> float:
        training, fold = trainings[job.model, job.seed, job.fold], run.fold(job.fold)
        if job.kind == "engine":
            return 0.0
        if job.kind == "train":
            stage = training.model.stages[int(job.part) - 1]
            return _BACKWARD * stage.epochs * len(fold.training) * _pixels(stage.image_size)
        images = len(fold.held_out) if job.part == "out-of-fold" else tests
        return run.settings.inference.checkpoints * images * _pixels(image_size(run, training))

    return JobGraph([*jobs, *predictions], cost)


def _pixels(size: SizeLike) -> float:
    height, width = height_and_width(size)
    return float(height * width)


def job_of(run: OpenRun, kind: JobKind, training: FoldTraining, part: str) -> Job:
    """Return a job of a fold training as plain data."""
    names = training.model.name, training.seed, training.fold
    return Job(str(run.directory.root), kind, *names, part, run.assignments)


def _to_predict(
    run: OpenRun,
    trainings: Sequence[FoldTraining],
    waiting: Sequence[StageRun],
    split: Split,
) -> list[FoldTraining]:
    """Return the fold trainings whose predictions are not there, or will be outdated."""
    trained = [stage.job for stage in waiting]
    prints = images_fingerprints(run, [training.fold for training in trainings], split)
    return [
        training
        for training in trainings
        if training in trained
        or not is_predicted(
            store_of(run, training, split),
            store_facts(run, training, prints[training.fold], split),
        )
    ]


def build_caches(run: OpenRun, waiting: Sequence[StageRun], wanted: Wanted) -> None:
    """Decode the images before the processes start, or each would."""
    forms: dict[tuple[str, SizeLike, int, tuple[int, ...]], ModelSettings] = {}

    def need(split: str, size: SizeLike, model: ModelSettings) -> None:
        forms[split, height_and_width(size), model.channels, tuple(model.neighbours)] = model

    for stage in waiting:
        need("train", stage.settings.image_size, stage.job.model)
        if stage.settings.pseudo_labels is not None:
            need("test", stage.settings.image_size, stage.job.model)
    for split in wanted.splits:
        for training in wanted.trainings:
            need("train" if split == "out-of-fold" else "test", image_size(run, training),
                 training.model)  # fmt: skip
    for (images, size, _, _), model in forms.items():
        build = training_cache if images == "train" else unlabelled_cache
        build(run, size, model)
