"""What a training will show, epoch by epoch, and how long it will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goldfold.competitions.images_table import training_images
from goldfold.image_size import height_and_width
from goldfold.pipeline.network_problems import refuse_misfits
from goldfold.pipeline.pseudo_labels import count_pseudo_labels
from goldfold.pipeline.step_time import seconds_an_image
from goldfold.pipeline.training_data import sampling_weights_of
from goldfold.training.stage_plan import StagePlan

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.stage_runs import StageRun
    from goldfold.settings import StageSettings
    from goldfold.tasks.task import Task
    from goldfold.training.runtime import Machine

MEASURED_STEPS = 3


@dataclass(frozen=True)
class PlannedEpoch:
    """One epoch of a plan; counts of images, highest learning rate in it, seconds or None."""

    stage: int
    epoch: int
    fraction: float
    non_empty: int
    empty: int
    pseudo: int
    steps: int
    rate: float
    seconds: float | None

    @property
    def images(self) -> int:
        """Images shown."""
        return self.non_empty + self.empty + self.pseudo


def plan_stage(run: OpenRun, stage_run: StageRun, machine: Machine | None) -> list[PlannedEpoch]:
    """Return one row per epoch of a stage.

    Args:
        run: the run.
        stage_run: the stage of a fold's training.
        machine: where its steps are measured for the seconds, None to leave them out.

    Raises:
        InputError: the network is measured and does not take the sizes of the images.
    """
    if machine is not None:
        refuse_misfits(run, [stage_run.job.model], trains=True)
    plan, held_out = _stage_plan(run, stage_run)
    speed = _measured(stage_run, machine, run.task) if machine is not None else None
    rows = []
    for epoch in range(plan.epochs):
        rates = [plan.rate(epoch, step) for step in range(plan.steps(epoch))]
        seconds = None
        if speed is not None:
            training, validating = speed
            seconds = training * sum(plan.counts(epoch))
            seconds += validating * held_out * validations(stage_run.settings, epoch)
        rows.append(
            PlannedEpoch(
                stage_run.number,
                epoch + 1,
                plan.fraction(epoch),
                *plan.counts(epoch),
                plan.steps(epoch),
                max(rates) * stage_run.settings.learning_rate,
                seconds,
            )
        )
    return rows


def plan_table(rows: Sequence[PlannedEpoch]) -> tuple[list[str], list[list[object]]]:
    """Return headers and rows of a table; neighbours that differ in their rate alone share a row.

    Args:
        rows: of `plan_stage`, of all stages in order.
    """
    groups: list[list[PlannedEpoch]] = []
    for row in rows:
        if groups and _alike(groups[-1][-1], row):
            groups[-1].append(row)
        else:
            groups.append([row])
    headers = ["stage", "epochs", "non-empty", "images", "with mask", "empty", "pseudo"]
    headers += ["steps", "learning rate", "minutes"]
    table: list[list[object]] = []
    for group in groups:
        first, last = group[0], group[-1]
        epochs = str(first.epoch) if first is last else f"{first.epoch}-{last.epoch}"
        rate = f"{first.rate:.2g}" if first is last else f"{first.rate:.2g} to {last.rate:.2g}"
        known = [row.seconds for row in group if row.seconds is not None]
        minutes = f"{sum(known) / 60:.1f}" if known else "-"
        counts = [first.images, first.non_empty, first.empty, first.pseudo, first.steps]
        table.append([first.stage, epochs, f"{first.fraction:.3f}", *counts, rate, minutes])
    return headers, table


def _alike(first: PlannedEpoch, other: PlannedEpoch) -> bool:
    same = (first.stage, first.non_empty, first.empty, first.pseudo, first.steps)
    return same == (other.stage, other.non_empty, other.empty, other.pseudo, other.steps)


def _stage_plan(run: OpenRun, stage_run: StageRun) -> tuple[StagePlan, int]:
    """Return the plan of a stage, and how many images it is validated on; no cache is needed."""
    train = training_images(run.images).set_index("image_id")
    fold = run.fold(stage_run.job.fold)
    inside = fold.training
    pseudo = stage_run.settings.pseudo_labels
    plan = StagePlan(
        stage_run.settings,
        run.task.non_empty(train.loc[inside]),
        seed=stage_run.job.seed,
        weights=sampling_weights_of(train.loc[inside], stage_run.settings.sampling),
        pseudo_labelled=count_pseudo_labels(run, pseudo.name, stage_run.job.fold) if pseudo else 0,
    )
    return plan, len(fold.held_out)


def validations(stage: StageSettings, epoch: int) -> int:
    """Return how many networks are validated after an epoch, counted from 0."""
    finished = epoch + 1
    last = finished == stage.epochs
    if not last and (finished < stage.validate_from or finished % stage.validate_every):
        return 0
    return 1 + (stage.ema is not None) + (last and stage.swa_from is not None)


def _measured(stage_run: StageRun, machine: Machine, task: Task) -> tuple[float, float]:
    """Return the seconds an image takes in training and in validation.

    Args:
        stage_run: the stage.
        machine: where it would be trained.
        task: says what its network gives.
    """
    stage = stage_run.settings
    return seconds_an_image(
        stage_run.job.model,
        stage,
        machine,
        task,
        count=stage.batch_size * stage.accumulation,
        size=height_and_width(stage.crop_size or stage.image_size),
        steps=MEASURED_STEPS,
    )
