"""Where the network runs and in which precision."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from goldfold.errors import InputError
from goldfold.training.accelerators import WORDS, Accelerator, usable_accelerator, why_no_gpu
from goldfold.training.allocator import keep_freed_memory
from goldfold.training.determinism import be_deterministic
from goldfold.training.first_kernel import meaning_of, try_kernels
from goldfold.training.tf32 import be_strict, convolutions_use_tf32

STRICT = "float32-strict"
"""Precision without TF32."""
BF16_VARIABLE = "GOLDFOLD_BF16"
"""Environment variable: `off` makes any processor behave like one without bf16."""


@dataclass(frozen=True)
class Device:
    """Where a network runs.

    Attributes:
        device: of torch.
        autocast_dtype: None = float32.
        description: both in words.
        channels_last: layout of images in memory.
        note: why a GPU that seems to be there is not used; "" where there is nothing to say.
    """

    device: torch.device
    autocast_dtype: torch.dtype | None
    description: str
    channels_last: bool = True
    note: str = ""

    @property
    def is_gpu(self) -> bool:
        """Whether work is queued on a device with memory of its own: any but the CPU."""
        return self.device.type != "cpu"

    @property
    def pins_memory(self) -> bool:
        """Whether batches reach the device faster from pinned memory; Apple's GPUs share theirs."""
        return self.is_gpu and self.device.type != "mps"

    def wait(self) -> None:
        """Wait until the device has done what it was given; a CPU always has."""
        if self.device.type == "mps":
            torch.mps.synchronize()
        elif self.is_gpu:
            torch.get_device_module(self.device).synchronize(self.device)

    def give_back_memory(self) -> None:
        """Give cached memory back to the device."""
        if self.is_gpu:
            torch.get_device_module(self.device).empty_cache()

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
    precision: str = "auto",
    channels_last: bool = True,
    *,
    local_rank: int = 0,
    use_gpu: bool = True,
    deterministic: bool = False,
) -> Device:
    """Return a GPU where there is one, else the CPU, in the precision that is asked for.

    `auto` is bf16 where it is native, as it needs no loss scaling. NVIDIA's GPUs from Volta to
    before Ampere (V100, T4), and AMD's without fast bf16, take fp16 with loss scaling. Older GPUs
    (P100), Apple's, and processors without AVX-512-BF16 or AMX, compute in float32. PyTorch's
    convolutions round float32 to TF32 on GPUs that have it; `float32-strict` switches that off.

    A GPU computes one small kernel before it is chosen. If it cannot, or the installed PyTorch has
    no kernels for it, NVIDIA's and AMD's are refused; for Apple's and Intel's the CPU is taken, and
    the device's `note` says why. It also says why a GPU that seems to be there is not used. On a
    processor the process also keeps memory that it frees (`keep_freed_memory`).

    `float32-strict` and determinism are switches of the whole process. Each call sets them, and
    puts them back where the last call had set them and this one does not ask for them.

    Args:
        precision: auto, bf16, fp16, float32 or float32-strict.
        channels_last: layout of images in memory.
        local_rank: number of the GPU.
        use_gpu: take one where there is one.
        deterministic: use algorithms that give the same bits in every run on the same GPU.

    Raises:
        InputError: the device has no such precision, or the GPU cannot compute.
    """
    asked = _asked(precision)
    kind = usable_accelerator() if use_gpu else None
    note = ""
    be_deterministic(deterministic and kind is not None)
    be_strict(precision == STRICT and kind is not None)
    if kind is not None:
        try:
            return _gpu(kind, local_rank, precision, channels_last, deterministic)
        except _GivesWay as failure:
            note = f"computing on the CPU: {failure}"
    elif use_gpu and (reason := why_no_gpu(os.environ.get("CUDA_VISIBLE_DEVICES"))):
        note = f"computing on the CPU: {reason}"
    keep_freed_memory()
    native = torch.bfloat16 if _cpu_has_bf16() else None
    dtype = native if precision == "auto" else asked
    threads = torch.get_num_threads()
    name = f"CPU, {threads} thread{'s' if threads != 1 else ''}"
    words = _say(name, dtype, channels_last)
    return Device(torch.device("cpu"), dtype, words, channels_last, note)


class _GivesWay(Exception):  # noqa: N818 - the CPU is taken instead
    """A GPU that cannot compute, where the CPU is taken instead."""


def _gpu(
    kind: Accelerator, index: int, precision: str, channels_last: bool, deterministic: bool
) -> Device:
    """Return a GPU that has computed a small kernel in the precision that is asked for.

    Raises:
        InputError: it has no such precision, or cannot compute.
    """
    place, name = torch.device(kind.type, index), ""
    try:
        kind.refuse(index)
        name = kind.name(index)
        dtype = kind.best(index) if precision == "auto" else _asked(precision)
        if dtype is not None and dtype not in kind.dtypes(index):
            raise InputError(
                f'{name} has no {precision}; set training.precision = "fp16" or "auto".'
            )
        try_kernels(place, dtype)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        message = (
            f"GPU {index}{f' ({name})' if name else ''} cannot be used with PyTorch "
            f"{torch.__version__} ({kind.build}): {meaning_of(error, kind)}"
        )
        if not kind.is_required:
            raise _GivesWay(message) from error
        raise InputError(f"{message}, or compute on the CPU: --devices cpu.") from error
    if kind.type == "cuda":
        # Batches have at most two sizes, so the search for the fastest kernels pays.
        torch.backends.cudnn.benchmark = not deterministic
        if index:  # what asks for no number means this one
            torch.cuda.set_device(place)
    words = _say(name, dtype, channels_last, tf32=dtype is None and _has_tf32(kind, index))
    return Device(place, dtype, words, channels_last)


def _has_tf32(kind: Accelerator, index: int) -> bool:
    """Return whether convolutions round float32 to TF32: NVIDIA's GPUs from Ampere on."""
    if kind.type != "cuda" or torch.version.hip is not None:
        return False
    return torch.cuda.get_device_capability(index) >= (8, 0) and convolutions_use_tf32()


def _asked(precision: str) -> torch.dtype | None:
    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16, "float32": None, STRICT: None}
    if precision not in {"auto", *dtypes}:
        raise InputError(f"unknown precision {precision!r}: choose auto, {', '.join(dtypes)}.")
    return dtypes.get(precision)


def _say(name: str, dtype: torch.dtype | None, channels_last: bool, *, tf32: bool = False) -> str:
    precision = f"{WORDS[dtype]} autocast" if dtype is not None else WORDS[dtype]
    precision += " (TF32 in convolutions)" if tf32 else ""
    return f"{name}, {precision}" + (", channels_last" if channels_last else "")


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
