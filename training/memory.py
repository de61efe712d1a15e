"""Too little memory: how to know it, and what to let go."""

from __future__ import annotations

import gc

import torch

from goldfold.training.device import Device

_WORDS = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of torch means that memory did not suffice, on a GPU or without."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in _WORDS)


def free_memory(device: Device) -> None:
    """Give back what a failed pass held."""
    gc.collect()
    if device.device.type == "cuda":
        torch.cuda.empty_cache()
