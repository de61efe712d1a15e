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
    total, images, rate = 0.0, 0, 0.0
    began = time.perf_counter()
    for number, batch in enumerate(batches):
        rate = learning_rate(number)
        loss = float(step.take(batch, rate))
        if not math.isfinite(loss):
            raise GoldfoldError(
                f"the loss or its gradient is not finite in epoch {epoch + 1}, step {number + 1}, "
                f"cache rows {batch.rows.tolist()}. Try a learning_rate ten times lower."
            )
        total += loss * len(batch.rows)
        images += len(batch.rows)
        speed = images / (time.perf_counter() - began)
        task.advance(1, loss=total / images, lr=rate, images_per_s=speed, **shown)
    return EpochResult(total / max(images, 1), images, time.perf_counter() - began, rate)
