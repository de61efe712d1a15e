"""Where the network runs and in which precision."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from goldfold.errors import InputError
from goldfold.training.allocator import keep_freed_memory
from goldfold.training.gpu_build import refuse_gpu_without_kernels

BF16_VARIABLE = "GOLDFOLD_BF16"
"""Environment variable: `off` makes any processor behave like one without bf16."""


@dataclass(frozen=True)
class Device:
    """A torch device, the dtype of its autocast (None = float32), both in words, and the layout."""

    device: torch.device
    autocast_dtype: torch.dtype | None
    description: str
    channels_last: bool = True

    @property
    def is_gpu(self) -> bool:
        """Whether work is queued on a device with memory of its own: any but the CPU."""
        return self.device.type != "cpu"

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


def choose_device(
    precision: str = "auto", channels_last: bool = True, *, local_rank: int = 0
) -> Device:
    """Return CUDA where there is one, else the CPU, in the precision that is asked for.

    `auto` is bf16 where it is native, as it needs no loss scaling. GPUs from Volta to before
    Ampere (V100, T4) have tensor cores for fp16 only and take that, with loss scaling. Older GPUs
    (P100), and processors without AVX-512-BF16 or AMX, compute in float32. A GPU that the
    installed PyTorch has no kernels for is refused: current builds begin at sm_75 (T4). On a
    processor the process also keeps memory that it frees (`keep_freed_memory`).

    Args:
        precision: auto, bf16, fp16 or float32.
        channels_last: layout of images in memory.
        local_rank: number of the GPU.

    Raises:
        InputError: the device has no such precision, or PyTorch no kernels for it.
    """
    if torch.cuda.is_available():
        refuse_gpu_without_kernels(local_rank)
        capability = torch.cuda.get_device_capability(local_rank)
        dtype = _gpu_dtype(capability) if precision == "auto" else _asked(precision)
        if dtype is torch.bfloat16 and capability < (8, 0):
            raise InputError(
                f"{torch.cuda.get_device_name(local_rank)} has no bf16; "
                'set training.precision = "fp16" or "auto".'
            )
        # Batches have at most two sizes, so the search for the fastest kernels pays.
        torch.backends.cudnn.benchmark = True
        name = torch.cuda.get_device_name(local_rank)
        place = torch.device("cuda", local_rank)
        return Device(place, dtype, _say(name, dtype, channels_last), channels_last)
    keep_freed_memory()
    native = torch.bfloat16 if _cpu_has_bf16() else None
    dtype = native if precision == "auto" else _asked(precision)
    threads = torch.get_num_threads()
    name = f"CPU, {threads} thread{'s' if threads != 1 else ''}"
    return Device(torch.device("cpu"), dtype, _say(name, dtype, channels_last), channels_last)


def _asked(precision: str) -> torch.dtype | None:
    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16, "float32": None}
    if precision not in dtypes:
        raise InputError(f"unknown precision {precision!r}: choose auto, {', '.join(dtypes)}.")
    return dtypes[precision]


def _gpu_dtype(capability: tuple[int, int]) -> torch.dtype | None:
    if capability >= (8, 0):
        return torch.bfloat16
    return torch.float16 if capability >= (7, 0) else None


def _say(name: str, dtype: torch.dtype | None, channels_last: bool) -> str:
    words = {torch.bfloat16: "bf16 autocast", torch.float16: "fp16 autocast", None: "float32"}
    return f"{name}, {words[dtype]}" + (", channels_last" if channels_last else "")


def _cpu_has_bf16() -> bool:
    """Return whether the processor multiplies bf16 natively (otherwise autocast is slower).

    Raises:
        InputError: GOLDFOLD_BF16 is neither auto nor off.
    """
    wanted = os.environ.get(BF16_VARIABLE) or "auto"
    if wanted not in ("auto", "off"):
        raise InputError(
            f"{BF16_VARIABLE} is {wanted!r}; expected auto (bf16 where the processor has it) or "
            "off (as on a processor without bf16)."
        )
    if wanted == "off":
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
