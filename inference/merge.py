"""The mean over views and checkpoints: of probabilities, of their logarithms, or of logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from goldfold.errors import InputError, did_you_mean

Function = Callable[[torch.Tensor], torch.Tensor]

_SMALLEST = 1e-6
"""Probabilities are held this far from 0 and 1 where a logarithm is taken: one view that is
certain must not decide alone, and at 8 bits (1/256) nothing of it is seen."""


def _held(probability: torch.Tensor) -> torch.Tensor:
    return probability.clamp(_SMALLEST, 1.0 - _SMALLEST)


MERGES: Mapping[str, tuple[Function, Function]] = MappingProxyType(
    {
        "mean": (lambda probability: probability, lambda mean: mean),
        "geometric": (lambda probability: _held(probability).log(), torch.exp),
        "logit": (lambda probability: torch.logit(_held(probability)), torch.sigmoid),
    }
)
"""Name -> (function whose plain mean is taken, its inverse): quasi-arithmetic means."""


class Merger:
    """A running mean of probabilities; float32 of any one shape.

    >>> merger = Merger("geometric")
    >>> for one in (0.25, 1.0): merger.add(torch.tensor([one]))
    >>> round(merger.result().item(), 4)
    0.5
    """

    def __init__(self, name: str = "mean") -> None:
        """Begin a mean.

        Raises:
            InputError: there is none of that name.
        """
        if name not in MERGES:
            hint = did_you_mean(name, MERGES)
            raise InputError(f"unknown merge {name!r}; there are {', '.join(MERGES)}.{hint}")
        self._there, self._back = MERGES[name]
        self._total: torch.Tensor | None = None
        self._count = 0

    def __len__(self) -> int:
        """Return how many were added."""
        return self._count

    def add(self, probability: torch.Tensor) -> None:
        """Take in one more, in 0..1."""
        term = self._there(probability.float())
        self._total = term if self._total is None else self._total + term
        self._count += 1

    def result(self) -> torch.Tensor:
        """Return the mean.

        Raises:
            InputError: nothing was added.
        """
        if self._total is None:
            raise InputError("expected at least one probability to merge, found none.")
        return self._back(self._total / self._count)
