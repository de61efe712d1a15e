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

    def take(self, batch: Batch, learning_rate: float) -> torch.Tensor:
        """Train on one batch and return its loss, a detached scalar.

        Where the gradient is not finite the loss returned is not either.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        images = network_input(batch.images, self.device.device)
        masks = torch.from_numpy(batch.masks).to(self.device.device).unsqueeze(1).float()
        with self.device.autocast():
            logits = self.model(images)
        loss: torch.Tensor = self.loss(logits.float(), masks)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.gradient_clip)
        self.optimizer.step()
        return torch.where(torch.isfinite(norm), loss.detach(), torch.nan)


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
        GoldfoldError: the loss or its gradient is not finite.
    """
    step.model.train()
    running = _Running(epoch, task, shown)
    waiting: tuple[int, Batch, float, torch.Tensor] | None = None
    for number, batch in enumerate(batches):
        rate = learning_rate(number)
        loss = step.take(batch, rate)
        # The loss is read one step late, so that a GPU never waits for this loop.
        if waiting is not None:
            running.count(*waiting)
        waiting = number, batch, rate, loss
    if waiting is not None:
        running.count(*waiting)
    return running.result()


class _Running:
    """What an epoch has shown so far: images, mean loss, speed."""

    def __init__(self, epoch: int, task: Task, shown: dict[str, object]) -> None:
        self._epoch, self._task, self._shown = epoch, task, shown
        self._total, self._images, self._rate = 0.0, 0, 0.0
        self._began = time.perf_counter()

    def count(self, number: int, batch: Batch, rate: float, loss: torch.Tensor) -> None:
        """Add one step, or raise GoldfoldError if its loss is not finite."""
        value = float(loss)
        if not math.isfinite(value):
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
