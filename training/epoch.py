"""One epoch of training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from goldfold.errors import GoldfoldError
from goldfold.progress import Task
from goldfold.training.batch import network_input
from goldfold.training.device import Device
from goldfold.training.loader import Batch

MOST_SKIPPED = 20
"""Steps in a row that a scaler may skip: from 65,536 it has then gone below a sixteenth."""


@dataclass(frozen=True)
class EpochResult:
    """Mean loss over images, images seen, seconds taken, last learning rate."""

    loss: float
    images: int
    seconds: float
    learning_rate: float


@dataclass(frozen=True)
class Step:
    """The parts that one optimizer step needs."""

    model: nn.Module
    loss: nn.Module
    optimizer: torch.optim.Optimizer
    device: Device
    gradient_clip: float
    scaler: torch.amp.GradScaler | None = None
    """Scales the loss where autocast is fp16, whose smallest numbers are too large."""

    def take(self, batch: Batch, learning_rate: float) -> torch.Tensor:
        """Train on one batch and return its loss and the norm of its gradient, (2,), detached.

        With a scaler, a step whose gradient is not finite changes no weight.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        images = network_input(batch.images, self.device.device)
        masks = torch.as_tensor(batch.masks).to(self.device.device, non_blocking=True)
        with self.device.autocast():
            logits = self.model(images)
        loss: torch.Tensor = self.loss(logits.float(), masks.unsqueeze(1).float())
        self.optimizer.zero_grad(set_to_none=True)
        norm = self._move(loss)
        return torch.stack((loss.detach(), norm.to(loss.dtype)))

    def _move(self, loss: torch.Tensor) -> torch.Tensor:
        """Go one step down the clipped gradient and return its norm before clipping."""
        scaled = loss if self.scaler is None else self.scaler.scale(loss)
        scaled.backward()  # type: ignore[no-untyped-call]
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.gradient_clip)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return norm


def train_epoch(
    step: Step,
    batches: Iterable[Batch],
    *,
    epoch: int,
    learning_rate: Callable[[int], float],
    task: Task,
    shown: dict[str, object],
) -> EpochResult:
    """Train on all batches once.

    Args:
        step: the network and what moves it.
        batches: of this epoch, in order.
        epoch: from 0, for messages.
        learning_rate: of the n-th step of this epoch.
        task: counts steps.
        shown: further fields beside the progress bar.

    Raises:
        GoldfoldError: the loss or its gradient is not finite. With a scaler only gradients
            that stay so for MOST_SKIPPED steps count, as it looks for a scale that fits.
    """
    step.model.train()
    running = _Running(epoch, task, shown, may_skip=step.scaler is not None)
    waiting: tuple[int, Batch, float, torch.Tensor] | None = None
    for number, batch in enumerate(batches):
        rate = learning_rate(number)
        taken = step.take(batch, rate)
        # The loss is read one step late, so that a GPU never waits for this loop.
        if waiting is not None:
            running.count(*waiting)
        waiting = number, batch, rate, taken
    if waiting is not None:
        running.count(*waiting)
    return running.result()


class _Running:
    """What an epoch has shown so far: images, mean loss, speed."""

    def __init__(self, epoch: int, task: Task, shown: dict[str, object], *, may_skip: bool) -> None:
        self._epoch, self._task, self._shown = epoch, task, shown
        self._may_skip, self._skipped = may_skip, 0
        self._total, self._images, self._rate = 0.0, 0, 0.0
        self._began = time.perf_counter()

    def count(self, number: int, batch: Batch, rate: float, taken: torch.Tensor) -> None:
        """Add one step, or raise GoldfoldError if its loss or gradient is not finite."""
        value, norm = taken.tolist()
        self._skipped = 0 if math.isfinite(norm) else self._skipped + 1
        if not math.isfinite(value) or self._skipped >= (MOST_SKIPPED if self._may_skip else 1):
            raise GoldfoldError(
                f"the loss or its gradient is not finite in epoch {self._epoch + 1}, step "
                f"{number + 1}, cache rows {batch.rows.tolist()}. Try a learning_rate ten times "
                "lower."
            )
        self._total += value * len(batch.rows)
        self._images += len(batch.rows)
        self._rate = rate
        mean = self._total / self._images
        speed = self._images / (time.perf_counter() - self._began)
        self._task.advance(1, loss=mean, lr=rate, images_per_s=speed, **self._shown)

    def result(self) -> EpochResult:
        """Return the epoch's figures."""
        seconds = time.perf_counter() - self._began
        return EpochResult(self._total / max(self._images, 1), self._images, seconds, self._rate)
