"""Averages of weights: the exponential moving one, and the equal one of the ends of epochs."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import nn

from goldfold.training.kept_buffers import by_dtype
from goldfold.training.step_result import StepResult

Tensors = dict[str, torch.Tensor]


class _Average:
    """A copy of a network that is never trained, only moved.

    Floating buffers (BatchNorm statistics) are averaged like weights; whole numbers are copied.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = deepcopy(model).eval().requires_grad_(False)
        self._ours = _Lists(self.model)
        self._theirs = _Lists(model)

    def _move(self, model: nn.Module, weight: float, share: torch.Tensor | None = None) -> None:
        """Go from the average towards the model's weights by this share of the way.

        Args:
            model: whose weights.
            weight: 0 to 1.
            share: 0-dim, multiplies the weight on the device, where only that knows it.
        """
        if model is not self._theirs.model:
            self._theirs = _Lists(model)
        with torch.no_grad():
            for ours, theirs in zip(self._ours.floating, self._theirs.floating, strict=True):
                if share is None:
                    torch._foreach_lerp_(ours, theirs, weight)
                else:  # there is no foreach kernel for a weight on the device
                    way = torch._foreach_sub(theirs, ours)
                    torch._foreach_mul_(way, share * weight)
                    torch._foreach_add_(ours, way)
            for ours, theirs in zip(self._ours.whole, self._theirs.whole, strict=True):
                torch._foreach_copy_(ours, theirs)

    def _tensors(self, count: int) -> Tensors:
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        return {**tensors, "count": torch.tensor(count)}

    def _load(self, tensors: Mapping[str, torch.Tensor]) -> int:
        weights = {k.removeprefix("model."): v for k, v in tensors.items() if k != "count"}
        self.model.load_state_dict(weights)
        return int(tensors["count"])


class MovingAverage(_Average):
    """Weights averaged over the last 1 / (1 - decay) steps or so.

    At first the decay is less, (1 + n) / (10 + n) after n steps, so that the random weights of
    the beginning are soon forgotten.

    Source: Polyak and Juditsky 1992; the warm-up is that of TensorFlow's ExponentialMovingAverage.

    Attributes:
        model: the average, in eval mode.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Begin with the weights as they are; `decay` is in 0..1."""
        super().__init__(model)
        self.decay, self._count = decay, 0
        self._last: StepResult | None = None

    @property
    def count(self) -> int:
        """Steps taken account of; waits for the last one if need be."""
        if self._last is not None:
            self._count += self._last.moved
            self._last = None
        return self._count

    @count.setter
    def count(self, count: int) -> None:
        self._count, self._last = count, None

    def update(self, model: nn.Module, step: StepResult | None = None) -> None:
        """Take account of the weights after a step.

        Args:
            model: whose weights.
            step: what came of it, where that is not known yet; nothing is done if it did not move.
        """
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        if step is None:
            self._move(model, 1 - decay)
            self._count += 1
        else:
            self._move(model, 1 - decay, step.share)
            self._last = step

    def state_tensors(self) -> Tensors:
        """Return everything that `load_state_tensors` needs."""
        return self._tensors(self.count)

    def load_state_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Resume from `state_tensors`."""
        self.count = self._load(tensors)


class StochasticAverage(_Average):
    """The equal mean of several weights (stochastic weight averaging).

    Source: Izmailov et al. 2018, Averaging Weights Leads to Wider Optima and Better
    Generalization.

    Attributes:
        model: the average, in eval mode; of no meaning before the first `add`.
        count: how many were added.
    """

    def __init__(self, model: nn.Module) -> None:
        """Begin with none."""
        super().__init__(model)
        self.count = 0

    def add(self, model: nn.Module) -> None:
        """Add the weights as they are now."""
        self._move(model, 1 / (self.count + 1))
        self.count += 1

    def state_tensors(self) -> Tensors:
        """Return everything that `load_state_tensors` needs."""
        return self._tensors(self.count)

    def load_state_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Resume from `state_tensors`."""
        self.count = self._load(tensors)


class _Lists:
    """A model's weights and buffers as foreach kernels take them, each tensor once.

    They are collected once: walking a state dict takes far longer than to queue the kernels.

    Attributes:
        model: whose they are.
        floating: lists of floating tensors, one per dtype.
        whole: lists of the others.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        # A weight that two layers share has two names, and must not move twice.
        by_name = model.state_dict(keep_vars=True)
        tensors = list({id(value): value for value in by_name.values()}.values())
        self.floating = by_dtype(value for value in tensors if value.is_floating_point())
        self.whole = by_dtype(value for value in tensors if not value.is_floating_point())
