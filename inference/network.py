"""What predicts: any function from images to logits, and what stands around such a function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch

Network = Callable[[torch.Tensor], Any]
"""Images (N, C, H, W) -> logits (N, M, H, W) of M masks; and presence logits (N, 1) with a head."""


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
