"""One optimizer step: forward and backward in one or several parts, guarded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from goldfold.errors import GoldfoldError, InputError
from goldfold.training.batch import network_input
from goldfold.training.device import Device
from goldfold.training.loader import Batch
from goldfold.training.memory import free_memory, is_out_of_memory
from goldfold.training.mixing import Mixing
from goldfold.training.networks.output import split_output
from goldfold.training.ranks import Ranks

MOST_RESCALED = 20
"""Steps in a row in which a scaler may look for a scale: 65,536 has then become a sixteenth."""


@dataclass(frozen=True)
class StepResult:
    """What came of a step.

    Attributes:
        loss_sum: summed over this rank's images.
        images: how many they are.
        gradient_norm: before clipping.
        moved: whether the weights were changed.
        finite: whether loss and gradient were, or a scaler is still looking for its scale.
    """

    loss_sum: float
    images: int
    gradient_norm: float
    moved: bool
    finite: bool


class Step:
    """The parts that one optimizer step needs, and how it is divided.

    A batch is an effective batch: the images behind one change of the weights. It passes the
    network in `parts` (gradient accumulation); where memory does not suffice the number of parts
    doubles and the effective batch stays what it was. BatchNorm sees one part at a time.

    Attributes:
        network: what is called: the model, or what wraps it (compiled, distributed).
        model: whose weights are trained.
        parts: forward passes a step.
        scaler: of the loss, where autocast is fp16.
        mixing: mixes images with classes, in pairs.
        release: gives memory back that is not needed; returns whether there was any.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module,
        optimizer: torch.optim.Optimizer,
        device: Device,
        *,
        gradient_clip: float,
        parts: int = 1,
        scaler: torch.amp.GradScaler | None = None,
        ranks: Ranks | None = None,
        network: nn.Module | None = None,
        mixing: Mixing | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take the parts; no parameter moves yet."""
        self.model, self.loss, self.optimizer, self.device = model, loss, optimizer, device
        self.network = network if network is not None else model
        self.gradient_clip, self.parts, self.scaler = gradient_clip, parts, scaler
        self.ranks = ranks if ranks is not None else Ranks()
        self._say = say
        self.mixing = mixing
        self.release: Callable[[], bool] = lambda: False
        self._learned = [p for p in model.parameters() if p.requires_grad]
        self._statistics = list(model.buffers())
        self._spare = [statistic.clone() for statistic in self._statistics]
        self._rescaled = 0

    def take(self, batch: Batch, fraction: float, *, whole: int | None = None) -> StepResult:
        """Train on one batch and return what came of it.

        A loss or gradient that is not finite changes nothing: no weight, no moment of the
        optimizer, no BatchNorm statistic.

        Args:
            batch: this rank's images of the effective batch.
            fraction: of each parameter group's highest learning rate, 0 to 1.
            whole: images of the effective batch over all ranks.

        Raises:
            GoldfoldError: out of memory even with one image at a time.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest"] * fraction
        if self._statistics:
            torch._foreach_copy_(self._spare, self._statistics)
        total = whole if whole is not None else len(batch)
        loss = self._forward_and_backward(batch, total)
        return self._move(loss, len(batch))

    def _forward_and_backward(self, batch: Batch, whole: int) -> torch.Tensor:
        """Return the loss summed over the images, its gradient of the mean in the weights."""
        while True:
            try:
                return self._in_parts(batch, whole)
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not is_out_of_memory(error):
                    raise
                if self.ranks.world > 1 or not self.release():
                    self._more_parts(batch)
            # Outside the handler, as the error holds on to the tensors of the failed pass.
            self.optimizer.zero_grad(set_to_none=True)
            self._restore_statistics()
            free_memory(self.device)

    def _in_parts(self, batch: Batch, whole: int) -> torch.Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device.device)
        places = _split(len(batch), self.parts)
        for number, part in enumerate(places):
            last = number == len(places) - 1
            with self.ranks.synchronised(self.network, last):
                total += self._part(batch.part(part), whole)
        return total

    def _part(self, batch: Batch, whole: int) -> torch.Tensor:
        images, masks = self._on_device(batch)
        if self.mixing is not None:
            images, masks = self.mixing(images, masks)
        with self.device.autocast():
            logits, presence = split_output(self._forward(images))
        loss: torch.Tensor = self.loss(logits.float(), masks, presence)
        # Ranks average their gradients, and may have different numbers of images.
        share = loss * (len(batch) * self.ranks.world / whole)
        scaled = share if self.scaler is None else self.scaler.scale(share)
        scaled.backward()  # type: ignore[no-untyped-call]
        return loss.detach() * len(batch)

    def _forward(self, images: torch.Tensor) -> Any:
        try:
            return self.network(images)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise InputError(
                f"BatchNorm cannot normalise {len(images)} image of {images.shape[-1]} px: its "
                "last features are a single value. Raise batch_size (a pass has batch_size images, "
                'shared by all GPUs), image_size or crop_size, or set frozen = ["batchnorm"].'
            ) from error

    def _on_device(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return normalised images (N, C, S, S) and masks float32 (N, 1, S, S), 0 to 1.

        Several masks per image are (N, M, S, S), classes (N, 1, 1, C); the numbers of the classes
        of pixels are int64 (N, S, S).
        """
        device = self.device.device
        images, masks = batch.on(device)
        pixels = network_input(images, device, channels_last=self.device.channels_last)
        if batch.classes:
            return pixels, masks.long()
        channels = masks.unsqueeze(1) if masks.ndim == 3 else masks
        # A copy, as the batch is needed again where memory does not suffice.
        return pixels, channels.to(torch.float32, copy=True).div_(255.0)

    def _move(self, loss: torch.Tensor, images: int) -> StepResult:
        """Go one step down the clipped gradient, if it is finite."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self._learned, self.gradient_clip)
        # The one moment in a step when this process waits for the device.
        value, length = torch.stack((loss.float(), norm.float())).tolist()
        finite = math.isfinite(value) and math.isfinite(length)
        finite = not self.ranks.any(not finite)
        if self.scaler is not None:
            self.scaler.step(self.optimizer)  # changes nothing where the gradient is not finite
            self.scaler.update()
            self._rescaled = 0 if finite else self._rescaled + 1
        elif finite:
            self.optimizer.step()
        if not finite:
            self.optimizer.zero_grad(set_to_none=True)
            self._restore_statistics()
        searching = self.scaler is not None and math.isfinite(value)
        excused = searching and self._rescaled < MOST_RESCALED
        return StepResult(value, images, length, moved=finite, finite=finite or excused)

    def _more_parts(self, batch: Batch) -> None:
        if self.ranks.world > 1:
            raise GoldfoldError(
                "out of memory on one of several GPUs; they must keep in step, so nothing was "
                "changed. Halve batch_size and double accumulation: the effective batch stays."
            )
        if self.parts >= len(batch):
            raise GoldfoldError(
                "out of memory with one image at a time. Lower image_size or crop_size, take a "
                "smaller encoder, or set training.gradient_checkpointing = true."
            )
        self.parts *= 2
        size = math.ceil(len(batch) / self.parts)
        self._say(
            f"out of memory: continuing with {size} images per pass and {self.parts} passes "
            f"per step; the effective batch stays {len(batch)}"
        )

    def _restore_statistics(self) -> None:
        if self._statistics:
            torch._foreach_copy_(self._statistics, self._spare)


def _split(count: int, parts: int) -> Sequence[slice]:
    """Return at most `parts` slices of nearly equal length that cover `count` images.

    >>> _split(5, 2)
    [slice(0, 3, None), slice(3, 5, None)]
    """
    parts = max(1, min(parts, count))
    short, longer = divmod(count, parts)
    bounds = [0]
    for number in range(parts):
        bounds.append(bounds[-1] + short + (number < longer))
    return [slice(a, b) for a, b in pairwise(bounds)]
