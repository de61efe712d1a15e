"""Passes that are timed and compared to learn whether a network is worth compiling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import deepcopy

import torch
from torch import nn

from goldfold.training.device import Device
from goldfold.training.networks.freezing import set_training_mode

ROUNDING = 0.01
"""Share of a gradient by which two ways of computing it may differ in any precision."""
TINY = 1e-30
REPEATS = 3

Gradients = list[torch.Tensor]


class Trial:
    """Passes of copies of a network over the same random images."""

    def __init__(
        self,
        model: nn.Module,
        device: Device,
        shape: tuple[int, int, int, int],
        frozen: Sequence[str],
        clock: Callable[[], float],
    ) -> None:
        """Take what `measure_compilation` takes, under the same names."""
        self._model, self._device, self._frozen, self.clock = model, device, frozen, clock
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        layout = torch.channels_last if device.channels_last else torch.contiguous_format
        self._images = noise.to(device.device).contiguous(memory_format=layout)
        self._weights: dict[torch.Size, torch.Tensor] = {}

    def copy(self) -> nn.Module:
        """Return a copy in the modes of training."""
        copied = deepcopy(self._model)
        set_training_mode(copied, self._frozen)
        return copied

    def seconds(self, network: nn.Module) -> float:
        """Return the seconds of a forward and backward pass, the least of some after the first."""
        self._pass(network)
        times = []
        for _ in range(REPEATS):
            self._device.wait()
            begun = self.clock()
            self._pass(network)
            self._device.wait()
            times.append(self.clock() - begun)
        return min(times)

    def gradients(
        self, network: nn.Module, images: int | None = None, *, exact: bool = False
    ) -> Gradients:
        """Return the gradients of the weights, float32, `exact` without autocast.

        Args:
            network: of `copy`, or one compiled from it.
            images: of the pass, the first ones; all unless given.
            exact: without autocast.
        """
        torch.manual_seed(0)  # the same dropout in all networks
        self._pass(network, images, exact=exact)
        self._device.wait()
        learned = [p.grad for p in network.parameters() if p.grad is not None]
        return [gradient.detach().float().clone() for gradient in learned]

    def reference(self) -> tuple[Gradients, float]:
        """Return the plain network's gradients, and how far from them others may be.

        Twice as far from the exact gradients as the plain network's are, and a hundredth of their
        length. The exact ones are taken from half of the images: float32 needs twice the memory.
        """
        count = len(self._images)
        half = min(count, max(2, (count + 1) // 2))  # a BatchNorm may need two images
        exact = self.gradients(self.copy(), half, exact=True)
        rounding = distance(self.gradients(self.copy(), half), exact) / max(_length(exact), TINY)
        plain = self.gradients(self.copy())
        # From the exact gradients twice the rounding, so from the plain ones once more at most.
        return plain, (3 * rounding + ROUNDING) * _length(plain)

    def _pass(self, network: nn.Module, images: int | None = None, *, exact: bool = False) -> None:
        network.zero_grad(set_to_none=True)
        with nullcontext() if exact else self._device.autocast():
            output = network(self._images[:images])
        parts = [output] if isinstance(output, torch.Tensor) else list(output)
        total = torch.zeros((), device=self._device.device)
        for part in parts:
            total = total + (part.float() * self._weights_of(part)).sum()
        total.backward()  # type: ignore[no-untyped-call]

    def _weights_of(self, output: torch.Tensor) -> torch.Tensor:
        """Return random weights that make a loss of an output, its gradient in fp16's range."""
        if output.shape not in self._weights:
            noise = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
            self._weights[output.shape] = noise.to(output.device) / output.numel() ** 0.25
        return self._weights[output.shape]


def distance(gradients: Gradients, others: Gradients) -> float:
    """Return the length of the difference of two gradients, infinite where one lacks weights.

    >>> distance([torch.tensor([3.0, 0.0])], [torch.tensor([0.0, 4.0])])
    5.0
    """
    if [g.shape for g in gradients] != [g.shape for g in others]:
        return float("inf")
    squares = [(a - b).square().sum() for a, b in zip(gradients, others, strict=True)]
    length = float(torch.stack(squares).sum().sqrt())
    return float("inf") if math.isnan(length) else length


def _length(gradients: Gradients) -> float:
    return distance(gradients, [torch.zeros_like(gradient) for gradient in gradients])
