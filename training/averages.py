"""The averages of a stage's weights: kept beside them, and scored like them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from goldfold.training.averaging import MovingAverage, StochasticAverage
from goldfold.training.batch import network_input
from goldfold.training.batchnorm import has_batchnorm, reestimate_batchnorm
from goldfold.training.device import Device
from goldfold.training.loader import Batch
from goldfold.training.passes import Passes
from goldfold.training.step_result import StepResult

STATISTICS_IMAGES = 512
"""Images from which the BatchNorm statistics of averaged weights are taken."""


class Averages:
    """The exponential moving average (`ema`) and the stochastic one (`swa`), where asked for.

    Source: Izmailov et al. 2018, Averaging Weights Leads to Wider Optima, for swa and for taking
    the BatchNorm statistics anew: those of other weights do not fit an average.

    Attributes:
        by_name: `ema` and `swa`, those there are.
    """

    def __init__(self, model: nn.Module, ema: float | None, swa_from: float | None) -> None:
        """Begin with the weights as they are.

        Args:
            model: whose weights.
            ema: decay a step, None for no moving average.
            swa_from: share of the stage after which the ends of the epochs are averaged.
        """
        self.swa_from = swa_from
        self.by_name: dict[str, MovingAverage | StochasticAverage] = {}
        if ema is not None:
            self.by_name["ema"] = MovingAverage(model, ema)
        if swa_from is not None:
            self.by_name["swa"] = StochasticAverage(model)

    def after_step(self, model: nn.Module, step: StepResult | None = None) -> None:
        """Take account of a step.

        Args:
            model: with the weights after it.
            step: what came of it, if it is not certain that the weights were changed.
        """
        moving = self.by_name.get("ema")
        if not isinstance(moving, MovingAverage):
            return
        if step is not None and step.share is not None:
            moving.update(model, step)
        elif step is None or step.moved:
            moving.update(model)

    def end_of_epoch(self, model: nn.Module, epoch: int, epochs: int) -> None:
        """Take account of the end of an epoch, once, however often it is said.

        Args:
            model: with the weights at its end.
            epoch: from 0.
            epochs: of the stage.
        """
        stochastic = self.by_name.get("swa")
        if not isinstance(stochastic, StochasticAverage) or self.swa_from is None:
            return
        due = epoch + 1 - min(math.floor(self.swa_from * epochs), epochs - 1)
        if stochastic.count < due:
            stochastic.add(model)

    def candidates(
        self,
        *,
        last: bool,
        batches: Callable[[], Iterator[Batch]],
        device: Device,
        passes: Passes | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> dict[str, nn.Module]:
        """Return the averaged networks that are worth validating now, by name.

        The moving average always is; the stochastic one at the end. Their BatchNorm statistics
        are taken anew unless BatchNorm is frozen.

        Args:
            last: whether this is the end of the stage.
            batches: makes some batches of training images.
            device: where the networks are.
            passes: how many images pass at once; whole batches unless given.
            say: takes a line where memory does not suffice for that.

        Raises:
            GoldfoldError: out of memory with a single image.
        """
        weights = {}
        for name, average in self.by_name.items():
            if name == "swa" and not (last and average.count):
                continue
            if has_batchnorm(average.model):
                reestimate_batchnorm(
                    average.model, _inputs(batches(), device), device, passes=passes, say=say
                )
            weights[name] = average.model
        return weights


def batches_for_statistics(
    batches: Sequence[NDArray[np.int64]], largest: int, parts: int = 1
) -> list[NDArray[np.int64]]:
    """Return the first of an epoch's batches, as many as the statistics are taken from.

    Args:
        batches: numbers of the images of each.
        largest: images of a batch at most.
        parts: into which each is divided, as in a training whose passes had to become smaller.

    >>> len(batches_for_statistics([np.arange(16)] * 40, 16))
    32
    >>> [len(part) for part in batches_for_statistics([np.arange(5), np.arange(4)], 5, 2)]
    [3, 2, 2, 2]
    """
    chosen = batches[: math.ceil(STATISTICS_IMAGES / largest)]
    if parts == 1:
        return list(chosen)
    return [part for batch in chosen for part in np.array_split(batch, min(parts, len(batch)))]


def _inputs(batches: Iterable[Batch], device: Device) -> Iterator[torch.Tensor]:
    for batch in batches:
        images, _ = batch.on(device.device)
        yield network_input(images, device.device, channels_last=device.channels_last)
