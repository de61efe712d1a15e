"""One epoch of training, or the rest of one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.errors import GoldfoldError
from goldfold.progress import Task
from goldfold.training.loader import Batch
from goldfold.training.ranks import Ranks
from goldfold.training.step import Step
from goldfold.training.step_result import StepResult


@dataclass
class EpochSoFar:
    """Sums over the steps of an epoch that are done; written with the state, so JSON values only.

    Attributes:
        step: steps done.
        loss_sum: summed over this rank's images, of steps with a finite loss.
        images: how many these were.
        seconds: spent on training steps.
        waited: of these, waiting for the next batch.
        rate: learning rate of the last step.
        skipped: steps whose loss was not finite, each with its images' ids.
        skipped_in_a_row: of them, those just before.
    """

    step: int = 0
    loss_sum: float = 0.0
    images: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    rate: float = 0.0
    skipped: list[dict[str, Any]] = field(default_factory=list)
    skipped_in_a_row: int = 0

    @property
    def loss(self) -> float:
        """Mean loss over images."""
        return self.loss_sum / self.images if self.images else float("nan")


def over_all_ranks(so_far: EpochSoFar, ranks: Ranks) -> EpochSoFar:
    """Return an epoch with the loss and the images of all ranks; the rest is this one's."""
    if ranks.world == 1:
        return so_far
    mine = np.array([so_far.loss_sum, so_far.images], dtype=np.float64)
    loss_sum, images = ranks.sum_array(mine).tolist()
    return replace(so_far, loss_sum=loss_sum, images=int(images))


@dataclass(frozen=True)
class EpochPart:
    """What does not change from step to step.

    Attributes:
        epoch: from 0.
        seed: of the run; with epoch and step it decides what dropout does.
        rate: fraction of the highest learning rate at the n-th step of this epoch.
        image_ids: names of images, by their numbers.
        most_skipped: steps in a row that may be skipped before GoldfoldError.
        whole: images of the n-th effective batch, over all ranks.
        after_step: called after every step with its result, the seconds it took, and the steps
            whose results are not read yet; may raise. Once these are read the epoch can be resumed
            from there.
    """

    epoch: int
    seed: int
    rate: Callable[[int], float]
    image_ids: Callable[[Any], list[str]]
    most_skipped: int
    whole: Callable[[int], int]
    after_step: Callable[[StepResult, float, UnreadSteps], None]


class UnreadSteps:
    """Steps that are queued on the device and not counted yet.

    Attributes:
        stop: whether a step that was read says that a rank was asked to stop.
    """

    def __init__(self, part: EpochPart, so_far: EpochSoFar) -> None:
        """Take where they are counted."""
        self.stop = False
        self._part, self._so_far = part, so_far
        self._steps: deque[tuple[StepResult, NDArray[np.int64]]] = deque()

    def __len__(self) -> int:
        """Return how many they are."""
        return len(self._steps)

    def append(self, result: StepResult, numbers: NDArray[np.int64]) -> None:
        """Take a step and the numbers of its images."""
        self._steps.append((result, numbers))

    def read(self, leave: int = 0) -> None:
        """Wait for the oldest and count them, until so many are left.

        Raises:
            GoldfoldError: too many steps in a row were not finite.
        """
        while len(self._steps) > leave:
            result, numbers = self._steps.popleft()
            self.stop = self.stop or result.stop
            _count(self._so_far, result, self._part, numbers)


def train_epoch(
    step: Step,
    batches: Iterable[Batch],
    part: EpochPart,
    so_far: EpochSoFar,
    *,
    task: Task,
    shown: dict[str, object],
) -> None:
    """Take the steps that are left of an epoch, and count them in `so_far`.

    On a device that runs ahead a step is counted once the next one is queued, so that the device
    never waits for this process; elsewhere at once.

    Args:
        step: how one is taken.
        batches: those from `so_far.step` on.
        part: what the steps have in common.
        so_far: of the steps before; changed in place.
        task: counts steps.
        shown: further fields beside the progress bar.

    Raises:
        GoldfoldError: too many steps in a row were not finite.
    """
    unread = UnreadSteps(part, so_far)
    asked = time.perf_counter()
    for batch in batches:
        began = time.perf_counter()
        number = so_far.step + len(unread)
        torch.manual_seed(_step_seed(part.seed, part.epoch, number))  # dropout and its kin
        result = step.take(batch, part.rate(number), whole=part.whole(number))
        unread.append(result, batch.numbers)
        unread.read(leave=1 if step.runs_ahead else 0)
        ended = time.perf_counter()
        so_far.rate = float(step.optimizer.param_groups[-1]["lr"])
        so_far.waited += began - asked
        so_far.seconds += ended - asked
        task.advance(
            1,
            loss=so_far.loss,
            lr=so_far.rate,
            images_per_s=so_far.images / max(so_far.seconds, 1e-9),
            **shown,
        )
        asked = time.perf_counter()
        part.after_step(result, ended - began, unread)
    if unread:
        began = time.perf_counter()
        unread.read()
        so_far.seconds += time.perf_counter() - began


def _count(
    so_far: EpochSoFar, result: StepResult, part: EpochPart, numbers: NDArray[np.int64]
) -> None:
    """Add a step, or raise GoldfoldError if it was one skipped step too many."""
    so_far.step += 1
    if result.finite:
        so_far.skipped_in_a_row = 0
        if result.moved:
            so_far.loss_sum += result.loss_sum
            so_far.images += result.images
        return
    so_far.skipped_in_a_row += 1
    ids = part.image_ids(numbers)
    so_far.skipped.append({"step": so_far.step, "image_ids": ids})
    if so_far.skipped_in_a_row >= part.most_skipped:
        raise GoldfoldError(
            f"the loss or its gradient was not finite in {so_far.skipped_in_a_row} steps in a row, "
            f"up to epoch {part.epoch + 1}, step {so_far.step}, images {', '.join(ids)}. Try a "
            "learning_rate ten times lower or a longer warmup_epochs; with fp16, try "
            'training.precision = "float32"; and look at these images (`goldfold train preview`).'
        )


def _step_seed(seed: int, epoch: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, epoch, step)).generate_state(1)[0])
