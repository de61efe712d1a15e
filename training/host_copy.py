"""Copies of tensors between this process's memory and a device, made without waiting for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

CHUNK = 32 << 20
"""Bytes of pinned memory that are allocated at once."""
ALIGNMENT = 64


def runs_ahead(device: torch.device) -> bool:
    """Return whether a device works off a queue whose events can be waited for.

    A processor has no queue; on MPS a copy that does not wait has no event that tells its end.
    """
    return device.type not in ("cpu", "mps")


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor on its way to a device, which reads it from pinned memory."""
    if runs_ahead(device) and tensor.device.type == "cpu" and not tensor.is_pinned():
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def to_host(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor on its way to this process's memory.

    It is there once something was waited for that was asked of the device later.
    """
    return tensor.to("cpu", non_blocking=runs_ahead(tensor.device))


class HostCopy:
    """Tensors as they are at this point of the device's queue, in this process's memory.

    The copies are contiguous and share no bytes. Those from a GPU are in pinned memory, and what
    is queued after them may change the originals at once.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor], *, spins: bool = False) -> None:
        """Queue the copies; those of tensors on the CPU are made at once.

        Args:
            tensors: anywhere.
            spins: whether who waits keeps a processor busy, to know the end a little sooner.
        """
        chunks = _Chunks(_aligned(t) for t in tensors.values() if runs_ahead(t.device))
        self._copies = {name: _copied(tensor, chunks) for name, tensor in tensors.items()}
        devices = {tensor.device for tensor in tensors.values() if runs_ahead(tensor.device)}
        self._events = [_event(device, spins) for device in devices]

    def wait(self) -> dict[str, torch.Tensor]:
        """Return the copies by name, once they are complete; any thread may wait."""
        for event in self._events:
            event.synchronize()
        self._events = []
        return self._copies


class _Chunks:
    """Pinned memory for many tensors, in few pieces of one size.

    PyTorch rounds a piece up to a power of two and keeps it for the next one of that size. With a
    piece for each tensor a state would keep up to twice its size, and no checkpoint could use it.
    """

    def __init__(self, sizes: Iterable[int]) -> None:
        """Take the bytes that each of the tensors needs; nothing is allocated yet."""
        self._left = sum(sizes)
        self._chunk, self._used = torch.empty(0, dtype=torch.uint8), 0

    def take(self, size: int) -> torch.Tensor:
        """Return so many bytes, uint8 (size,) in pinned memory."""
        if self._used + size > len(self._chunk):
            length = max(size, min(CHUNK, self._left))
            self._chunk = torch.empty(length, dtype=torch.uint8, pin_memory=True)
            self._used = 0
        begin, self._used = self._used, self._used + size
        self._left -= size
        return self._chunk[begin : self._used]


def _aligned(tensor: torch.Tensor) -> int:
    """Return the bytes of a tensor, rounded up so that the next one begins at a whole number."""
    return -(-tensor.numel() * tensor.element_size() // ALIGNMENT) * ALIGNMENT


def _copied(tensor: torch.Tensor, chunks: _Chunks) -> torch.Tensor:
    if not runs_ahead(tensor.device):
        return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
    room = chunks.take(_aligned(tensor))[: tensor.numel() * tensor.element_size()]
    return room.view(tensor.dtype).view(tensor.shape).copy_(tensor.detach(), non_blocking=True)


def _event(device: torch.device, spins: bool) -> Any:
    """Return an event that happens when all that is queued so far is done."""
    module = torch.get_device_module(device)
    # Intel's events have no such choice.
    event = module.Event() if spins or device.type == "xpu" else module.Event(blocking=True)
    event.record(module.current_stream(device))
    return event
