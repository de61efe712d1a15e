"""What predicts: any function from images to logits, and what stands around such a function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch

Network = Callable[[torch.Tensor], Any]
"""Images (N, C, H, W) -> logits (N, M, H, W) of M masks; and presence logits (N, 1) with a head."""


Activation = Literal["sigmoid", "softmax"]
"""Masks that may overlap, or exactly one class per pixel."""


def activate(logits: torch.Tensor, activation: Activation) -> torch.Tensor:
    """Return probabilities, float32 (N, M, H, W); of a softmax they sum to one in each pixel."""
    logits = logits.float()
    return logits.softmax(dim=1) if activation == "softmax" else logits.sigmoid()


class WrappedNetwork(ABC):
    """A network that an engine runs, or that is called piece by piece."""

    @abstractmethod
    def __call__(self, images: torch.Tensor) -> Any:
        """Return logits as a `Network` does."""

    @property
    @abstractmethod
    def plain(self) -> Network:
        """The same network run by PyTorch alone, in the precision of the autocast around it."""


def plain_network(network: Network) -> Network:
    """Return the network as PyTorch alone runs it: itself, unless it is wrapped."""
    return network.plain if isinstance(network, WrappedNetwork) else network
