"""A model's buffers, above all BatchNorm statistics, kept before a step and put back after it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


class KeptBuffers:
    """The buffers of a model as they were before a step.

    Buffers of one dtype are kept in one flat tensor, so that a GPU has few kernels to launch.
    """

    def __init__(self, model: nn.Module) -> None:
        """Take the model; nothing is kept yet."""
        groups = by_dtype(model.buffers())
        self._groups = [_Kept(tensors) for tensors in groups]

    def keep(self) -> None:
        """Remember the buffers as they are now."""
        for group in self._groups:
            group.keep()

    def put_back(self) -> None:
        """Make the buffers what they were."""
        for group in self._groups:
            group.put_back(group.kept)

    def put_back_where(self, bad: torch.Tensor) -> None:
        """Make the buffers what they were if `bad`, a 0-dim bool on their device, says so."""
        for group in self._groups:
            group.put_back(torch.where(bad, group.kept, group.now()))


class _Kept:
    """Buffers of one dtype."""

    def __init__(self, buffers: list[torch.Tensor]) -> None:
        self._buffers = buffers
        # Views made once: a view costs the host as much as a launch.
        self._flat = [buffer.view(-1) if buffer.is_contiguous() else None for buffer in buffers]
        self.kept = self.now()
        self._values = self.kept.clone()
        parts = self._values.split_with_sizes([buffer.numel() for buffer in buffers])
        self._parts = [part.view(b.shape) for part, b in zip(parts, buffers, strict=True)]

    def keep(self) -> None:
        self.kept = self.now()

    def now(self) -> torch.Tensor:
        """Return a flat copy of all."""
        pairs = zip(self._flat, self._buffers, strict=True)
        return torch.cat([b.reshape(-1) if flat is None else flat for flat, b in pairs])

    def put_back(self, values: torch.Tensor) -> None:
        """Set the buffers to flat values."""
        self._values.copy_(values)
        torch._foreach_copy_(self._buffers, self._parts)


def by_dtype(tensors: Iterable[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Return the tensors in groups of one dtype: only those pass one foreach kernel."""
    groups: dict[torch.dtype, list[torch.Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.dtype, []).append(tensor)
    return list(groups.values())
