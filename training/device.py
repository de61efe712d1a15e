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

    def scaler(self) -> torch.amp.GradScaler | None:
        """Return what keeps small gradients above zero in fp16, None where it is not needed."""
        if self.autocast_dtype is not torch.float16:
            return None
        return torch.amp.GradScaler(self.device.type)

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context in which matrix work runs in the device's fast dtype."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)


def choose_device() -> Device:
    """Return CUDA where there is one, else the CPU, in the dtype that is fast there.

    bf16 where it is native, as it needs no loss scaling. GPUs from Volta to before Ampere (V100,
    T4) have tensor cores for fp16 only and take that, with loss scaling. Older GPUs (P100), and
    processors without AVX-512-BF16 or AMX, compute in float32.
    """
    if torch.cuda.is_available():
        dtype = _gpu_dtype(torch.cuda.get_device_capability())
        name = torch.cuda.get_device_name()
        # Batches have at most two sizes, so the search for the fastest kernels pays.
        torch.backends.cudnn.benchmark = True
        return Device(torch.device("cuda"), dtype, _say(name, dtype))
    dtype = torch.bfloat16 if _cpu_has_bf16() else None
    threads = torch.get_num_threads()
    name = f"CPU, {threads} thread{'s' if threads != 1 else ''}"
    return Device(torch.device("cpu"), dtype, _say(name, dtype))


def _gpu_dtype(capability: tuple[int, int]) -> torch.dtype | None:
    if capability >= (8, 0):
        return torch.bfloat16
    return torch.float16 if capability >= (7, 0) else None


def _say(name: str, dtype: torch.dtype | None) -> str:
    words = {torch.bfloat16: "bf16 autocast", torch.float16: "fp16 autocast", None: "float32"}
    return f"{name}, {words[dtype]}, channels_last"


def _cpu_has_bf16() -> bool:
    """Return whether the processor multiplies bf16 natively (otherwise autocast is slower)."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
