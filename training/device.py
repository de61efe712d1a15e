"""Where the network runs and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Device:
    """A torch device, the dtype of its autocast (None = float32), and both in words."""

    device: torch.device
    autocast_dtype: torch.dtype | None
    description: str

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context in which matrix work runs in the device's fast dtype."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)


def choose_device() -> Device:
    """Return CUDA where there is one, else the CPU, with bf16 where it is native.

    bf16 needs no loss scaling. GPUs before Ampere have no bf16 units (the T4), so they compute
    in float32; so does a processor without AVX-512-BF16 or AMX.
    """
    if torch.cuda.is_available():
        native = torch.cuda.get_device_capability()[0] >= 8
        name = torch.cuda.get_device_name()
        # Batches have at most two sizes, so the search for the fastest kernels pays.
        torch.backends.cudnn.benchmark = True
        return Device(torch.device("cuda"), torch.bfloat16 if native else None, _say(name, native))
    native = _cpu_has_bf16()
    threads = torch.get_num_threads()
    name = f"CPU, {threads} thread{'s' if threads != 1 else ''}"
    return Device(torch.device("cpu"), torch.bfloat16 if native else None, _say(name, native))


def _say(name: str, native: bool) -> str:
    return f"{name}, {'bf16 autocast' if native else 'float32'}, channels_last"


def _cpu_has_bf16() -> bool:
    """Return whether the processor multiplies bf16 natively (otherwise autocast is slower)."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
