"""Copies of tensors between this process's memory and a device, made without waiting for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


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

    The copies are contiguous and share no memory. Those from a GPU are in pinned memory, and what
    is queued after them may change the originals at once.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Queue the copies; those of tensors on the CPU are made at once."""
        self._copies = {name: _copied(tensor) for name, tensor in tensors.items()}
        devices = {tensor.device for tensor in tensors.values() if runs_ahead(tensor.device)}
        self._events = [_event(device) for device in devices]

    def wait(self) -> dict[str, torch.Tensor]:
        """Return the copies by name, once they are complete; any thread may wait."""
        for event in self._events:
            event.synchronize()
        self._events = []
        return self._copies


def _copied(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to(
        "cpu",
        copy=True,
        non_blocking=runs_ahead(tensor.device),  # then torch chooses pinned memory by itself
        memory_format=torch.contiguous_format,
    )


def _event(device: torch.device) -> Any:
    """Return an event that happens when all that is queued so far is done."""
    module = torch.get_device_module(device)
    event = module.Event()
    event.record(module.current_stream(device))
    return event
