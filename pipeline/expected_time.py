"""About how long a new run's training takes here, before there are folds or decoded images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goldfold.image_size import height_and_width
from goldfold.pipeline.step_time import seconds_an_image
from goldfold.pipeline.training_plan import validations
from goldfold.tasks.registry import task_of
from goldfold.training.stopping import StopRequest

if TYPE_CHECKING:
    from goldfold.image_size import ImageSize
    from goldfold.settings import ModelSettings, Settings, StageSettings
    from goldfold.training.runtime import Machine

TRIED_IMAGES = 4
TRIED_SIDE = 128
"""On a processor a few small images are timed, so that this takes seconds for any recipe."""


@dataclass(frozen=True)
class ExpectedTime:
    """What the training of one fold shows its networks, and how long that takes.

    Attributes:
        images: shown to all networks, all epochs together.
        seconds: of training and validation; making batches happens beside it.
        folds: that are trained.
        device: in words.
    """

    images: int
    seconds: float
    folds: int
    device: str

    @property
    def in_words(self) -> str:
        """A line for the user."""
        each = f"about {duration(self.seconds)} a fold"
        if self.folds > 1:
            each += f", {duration(self.seconds * self.folds)} for {self.folds} folds"
        return f"{each}, {self.images:,} images seen in each; measured on {self.device}"


def expected_time(settings: Settings, images: int) -> ExpectedTime:
    """Return what the training of one fold takes, from a few steps of each network.

    Schedules that leave out empty images show less than is counted here.

    Args:
        settings: whose networks are all of goldfold's own making.
        images: of the training set.

    Raises:
        InputError: a network cannot be built, or the precision is not to be had.
    """
    from goldfold.training.runtime import Machine

    machine = Machine.choose(settings.training, 0, StopRequest())
    held_out = max(1, images // settings.folds.count)
    shown, seconds = 0, 0.0
    for model in settings.models:
        times: dict[ImageSize, tuple[float, float]] = {}
        for stage in model.stages:
            size = height_and_width(stage.crop_size or stage.image_size)
            if size not in times:
                with machine.sharing_cores(lambda _: None):  # as its training would
                    times[size] = _timed(settings, model, stage, machine)
            training, validating = times[size]
            seen = stage.epochs * (images - held_out) * len(model.seeds)
            judged = sum(validations(stage, epoch) for epoch in range(stage.epochs)) * held_out
            shown += seen
            seconds += training * seen + validating * judged * len(model.seeds)
    folds = len(settings.folds.train or range(settings.folds.count))
    return ExpectedTime(shown, seconds, folds, machine.device.description)


def _timed(
    settings: Settings, model: ModelSettings, stage: StageSettings, machine: Machine
) -> tuple[float, float]:
    """Return the seconds of an image, on a GPU with whole batches, as small ones leave it idle."""
    from goldfold.training.network_trial import Pass, Trial

    task = task_of(settings.competition)
    size, count = height_and_width(stage.crop_size or stage.image_size), stage.batch_size
    if machine.device.device.type == "cpu":
        count = min(TRIED_IMAGES, count)
        small = Pass(tried_size(size), images=count, trains=True, frozen=tuple(stage.frozen))
        trial = Trial(model, task.form.outputs, per_image=bool(task.row_columns))
        size = size if trial.failure(small, confirm=False) else small.size
    return seconds_an_image(model, stage, machine, task, count=count, size=size, steps=2)


def tried_size(size: ImageSize) -> ImageSize:
    """Return the size that is timed for another: of its shape, in steps of 32 pixels.

    >>> tried_size((512, 512)), tried_size((96, 608)), tried_size((96, 96))
    ((128, 128), (64, 288), (96, 96))
    """
    height, width = size
    shrink = min(1.0, TRIED_SIDE / (height * width) ** 0.5)
    if shrink == 1.0:
        return size
    return _step(height * shrink), _step(width * shrink)


def _step(side: float) -> int:
    return max(2, round(side / 32)) * 32


def duration(seconds: float) -> str:
    """Return a time in words, as exact as an estimate deserves.

    >>> [duration(seconds) for seconds in (42, 300, 9000, 400000)]
    ['42 s', '5 minutes', '2.5 hours', '111 hours']
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    hours = seconds / 3600
    return f"{hours:.1f} hours" if hours < 10 else f"{hours:.0f} hours"
