"""Batches on their way to a GPU while it trains on the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import torch

from goldfold.training.loader import Batch


def has_streams(device: torch.device) -> bool:
    """Return whether copies from pinned memory can run beside a device's work."""
    return device.type != "cpu" and hasattr(torch.get_device_module(device), "Stream")


@cache
def _copying_stream(device: torch.device) -> Any:
    """Return the stream that copies to a device, one for the process.

    Memory that is freed can only be used again by the stream it was allocated on, so with a stream
    for each epoch the batches of many epochs would stay allocated.
    """
    return torch.get_device_module(device).Stream(device)


def copied_ahead(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield the batches on the device, each copied while the one before is in use.

    The copies run on a stream of their own, from pinned memory, so neither the host nor the
    device's kernels wait for them. Without streams batches pass as they are.

    Args:
        batches: in pinned memory.
        device: where they are wanted.
    """
    if not has_streams(device):
        yield from batches
        return
    module = torch.get_device_module(device)
    copying, working = _copying_stream(device), module.current_stream(device)
    before: tuple[Batch, Any] | None = None
    for batch in batches:
        # The memory that the copy is put into may have been that of a batch still worked on.
        copying.wait_stream(working)
        with module.stream(copying):
            moved = batch.to(device)
            arrived = module.Event()
            arrived.record(copying)
        if before is not None:
            working.wait_event(before[1])
            yield before[0]
        before = moved, arrived
    if before is not None:
        working.wait_event(before[1])
        yield before[0]
