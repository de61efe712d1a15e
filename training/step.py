"""One optimizer step: forward and backward in one or several parts, guarded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from goldfold.errors import GoldfoldError, InputError, plural
from goldfold.training.batch import network_input
from goldfold.training.device import Device
from goldfold.training.host_copy import runs_ahead
from goldfold.training.kept_buffers import KeptBuffers
from goldfold.training.loader import Batch
from goldfold.training.memory import Failure, Judge, free_memory
from goldfold.training.mixing import Mixing
from goldfold.training.networks.output import split_output
from goldfold.training.optimizer import begin_momentum
from goldfold.training.ranks import Ranks
from goldfold.training.step_result import Outcome, ResultQueue, StepResult

_WAY_OUT = (
    "Lower image_size or crop_size, take a smaller encoder, set training.gradient_checkpointing = "
    "true, or update the driver of the device."
)
MOST_RESCALED = 20
"""Steps in a row in which a scaler may look for a scale: 65,536 has then become a sixteenth."""


class Step:
    """The parts that one optimizer step needs, and how it is divided.

    A batch is an effective batch: the images behind one change of the weights. It passes the
    network in `parts` (gradient accumulation); where memory does not suffice the number of parts
    doubles and the effective batch stays what it was. BatchNorm sees one part at a time.

    A GPU runs ahead: it decides by itself whether a step counts, and this process learns of it
    when it looks at the result.

    Attributes:
        network: what is called: the model, or what wraps it (compiled, distributed).
        model: whose weights are trained.
        parts: forward passes a step.
        scaler: of the loss, where autocast is fp16.
        mixing: mixes images with classes, in pairs.
        runs_ahead: whether the device decides and nobody waits for it.
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
        stopping: Callable[[], bool] = lambda: False,
        ahead: bool | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take the parts.

        Args:
            model: whose weights are trained.
            loss: of logits, masks and presence logits.
            optimizer: its groups carry their highest rate.
            device: where the model is.
            gradient_clip: longest gradient.
            parts: as above.
            scaler: as above.
            ranks: processes that train together.
            network: as above.
            mixing: as above.
            stopping: whether this process was asked to stop; all ranks learn of it with the result.
            ahead: `runs_ahead`; None: wherever device and optimizer can.
            say: takes a line about what had to be done differently.
        """
        self.model, self.loss, self.optimizer, self.device = model, loss, optimizer, device
        self.network = network if network is not None else model
        self.gradient_clip, self.parts, self.scaler = gradient_clip, parts, scaler
        self.ranks = ranks if ranks is not None else Ranks()
        self._say = say
        self.mixing = mixing
        self.release: Callable[[], bool] = lambda: False
        self._learned = [p for p in model.parameters() if p.requires_grad]
        self._buffers = KeptBuffers(model)
        self._stopping = stopping
        # A fused optimizer has kernels that leave everything as it is where `found_inf` is 1.
        can = getattr(optimizer, "_step_supports_amp_scaling", False)
        self.runs_ahead = (runs_ahead(device.device) if ahead is None else ahead) and can
        self._results = ResultQueue(self._outcome)
        self._failures = Judge()
        self._rescaled = 0

    def take(self, batch: Batch, fraction: float, *, whole: int | None = None) -> StepResult:
        """Train on one batch and return what came of it, or will.

        A loss or gradient that is not finite changes nothing: no weight, no moment of the
        optimizer, no BatchNorm statistic.

        Args:
            batch: this rank's images of the effective batch.
            fraction: of each parameter group's highest learning rate, 0 to 1.
            whole: images of the effective batch over all ranks.

        Raises:
            GoldfoldError: out of memory even with one image at a time, or cuDNN, cuBLAS or their
                like failed with a smaller pass too.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest"] * fraction
        self._buffers.keep()
        total = whole if whole is not None else len(batch)
        loss = self._forward_and_backward(batch, total)
        return self._move(loss, len(batch))

    def _forward_and_backward(self, batch: Batch, whole: int) -> torch.Tensor:
        """Return the loss summed over the images, its gradient of the mean in the weights."""
        while True:
            try:
                return self._in_parts(batch, whole)
            except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is one
                size = math.ceil(len(batch) / self.parts)
                failure = self._failures.failure(error, size)
                if self.ranks.world > 1:
                    raise self._of_one_rank(failure, size) from error
                if not (failure.is_memory and self.release()):
                    if failure.is_hopeless:
                        raise failure.told(size, self.device, _WAY_OUT) from error
                    self._more_parts(failure, len(batch))
            # Outside the handler, as the error holds on to the tensors of the failed pass.
            self.optimizer.zero_grad(set_to_none=True)
            self._buffers.put_back()
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
        values = torch.stack((loss.float(), norm.float()))
        return self._queue(values, images) if self.runs_ahead else self._decide(values, images)

    def _decide(self, values: torch.Tensor, images: int) -> StepResult:
        """Look at loss and gradient norm, then move or leave everything as it was."""
        value, length = values.tolist()
        finite = math.isfinite(value) and math.isfinite(length)
        bad, stop = self.ranks.any_of(not finite, self._stopping())
        if self.scaler is not None:
            self._step_scaled(torch.tensor(float(bad), device=values.device))
        elif not bad:
            self.optimizer.step()
        if bad:
            self.optimizer.zero_grad(set_to_none=True)
            self._buffers.put_back()
        return StepResult(images, self._outcome(value, length, bad, stop))

    def _queue(self, values: torch.Tensor, images: int) -> StepResult:
        """Let the device move, or leave everything as it was, without waiting for it."""
        # What is not finite gives NaN if multiplied by 0, and NaN is not equal to 0.
        flags = torch.full((2,), float(self._stopping()), device=values.device)
        flags[0] = (values * 0.0).sum().ne(0.0)
        self.ranks.spread(flags)
        bad = flags[0]
        if self.scaler is not None:
            self._step_scaled(bad)
        else:
            self._step_unless(bad)
        self._buffers.put_back_where(bad.bool())
        return self._results.queue(images, torch.cat((values, flags)), share=1.0 - bad)

    def _step_scaled(self, bad: torch.Tensor) -> None:
        """Let the scaler skip the step and lower its scale where `bad` is 1, not 0."""
        assert self.scaler is not None
        begin_momentum(self.optimizer)
        # A loss that is not finite counts, too, and what other ranks have found.
        for found_inf in self.scaler._found_inf_per_device(self.optimizer).values():
            found_inf.copy_(bad)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _step_unless(self, bad: torch.Tensor) -> None:
        """Move with the fused kernels, which do nothing where `bad` is 1, not 0."""
        begin_momentum(self.optimizer)
        optimizer: Any = self.optimizer  # reads both attributes as a GradScaler would set them
        optimizer.grad_scale, optimizer.found_inf = None, bad
        try:
            optimizer.step()
        finally:
            del optimizer.grad_scale, optimizer.found_inf

    def _outcome(self, value: float, length: float, bad: bool, stop: bool) -> Outcome:
        """Return the outcome; steps are judged in their order."""
        if self.scaler is not None:
            self._rescaled = self._rescaled + 1 if bad else 0
        searching = self.scaler is not None and math.isfinite(value)
        excused = searching and self._rescaled < MOST_RESCALED
        return Outcome(value, length, moved=not bad, finite=not bad or excused, stop=stop)

    def _of_one_rank(self, failure: Failure, size: int) -> GoldfoldError:
        return GoldfoldError(
            f"{failure.what} on one of several GPUs; they must keep in step, so nothing was "
            "changed. Halve batch_size and double accumulation: the effective batch stays. It was "
            f"{self.device.description} with {plural(size, 'image', 'images')} per pass."
        )

    def _more_parts(self, failure: Failure, images: int) -> None:
        """Divide a batch of so many images into twice as many parts."""
        self.parts *= 2
        size = math.ceil(images / self.parts)
        self._say(
            f"{failure.what}: continuing with {size} images per pass and {self.parts} passes "
            f"per step; the effective batch stays {images}"
        )


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
