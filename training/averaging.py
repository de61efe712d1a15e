"""Averages of weights: the exponential moving one, and the equal one of the ends of epochs."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import nn

Tensors = dict[str, torch.Tensor]


class _Average:
    """A copy of a network that is never trained, only moved.

    Floating buffers (BatchNorm statistics) are averaged like weights; whole numbers are copied.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = deepcopy(model).eval().requires_grad_(False)

    def _move(self, model: nn.Module, weight: float) -> None:
        """Go from the average towards the model's weights by this share of the way."""
        with torch.no_grad():
            ours, theirs = _floating(self.model), _floating(model)
            torch._foreach_lerp_(ours, theirs, weight)
            for own, other in zip(_whole(self.model), _whole(model), strict=True):
                own.copy_(other)

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
        count: steps taken account of.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Begin with the weights as they are; `decay` is in 0..1."""
        super().__init__(model)
        self.decay, self.count = decay, 0

    def update(self, model: nn.Module) -> None:
        """Take account of the weights after a step."""
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        self._move(model, 1 - decay)
        self.count += 1

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


def _floating(model: nn.Module) -> list[torch.Tensor]:
    return [value for value in model.state_dict().values() if value.is_floating_point()]


def _whole(model: nn.Module) -> list[torch.Tensor]:
    return [value for value in model.state_dict().values() if not value.is_floating_point()]
