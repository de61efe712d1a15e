"""The kinds of GPU that PyTorch knows: NVIDIA, AMD, Intel, Apple; what each can do, as data.

PyTorch calls AMD's GPUs `cuda` as well, so the build decides between the two.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from goldfold.training.gpu_build import refuse_gpu_without_kernels

BF16, FP16 = torch.bfloat16, torch.float16
WORDS = {BF16: "bf16", FP16: "fp16", None: "float32"}
"""What a dtype of autocast is called in the settings."""

_AMD_WITH_BF16 = ("gfx90a", "gfx94", "gfx95", "gfx11", "gfx12")
"""Beginnings of the architectures with fast bf16: CDNA 2 to 4, RDNA 3 and 4."""


@dataclass(frozen=True)
class Accelerator:
    """A kind of GPU.

    Attributes:
        type: of a `torch.device`.
        build: what the installed PyTorch was built for, in words.
        variable: environment variable that chooses among the GPUs, "" where there is none.
        is_available: whether PyTorch can use one.
        count: how many PyTorch sees.
        name: of one of them, by its number.
        dtypes: what autocast may use, by the number; the first is the fastest.
        best: what `auto` takes, None for float32.
        refuse: raises InputError if the build has no kernels for it.
        traces: files that are there if the machine has such a GPU and its driver.
        is_required: a GPU of this kind that fails ends the command; others give way to the CPU.
    """

    type: str
    build: str
    variable: str
    is_available: Callable[[], bool]
    count: Callable[[], int]
    name: Callable[[int], str]
    dtypes: Callable[[int], Sequence[torch.dtype]]
    best: Callable[[int], torch.dtype | None]
    refuse: Callable[[int], None] = lambda index: None
    traces: tuple[str, ...] = ()
    is_required: bool = True


def accelerators() -> list[Accelerator]:
    """Return the kinds that the installed PyTorch may have been built for."""
    return [_amd() if torch.version.hip is not None else _nvidia(), _intel(), _apple()]


def usable_accelerator() -> Accelerator | None:
    """Return the kind of the GPUs that PyTorch can use here, None without any."""
    return next((kind for kind in accelerators() if kind.is_available()), None)


def why_no_gpu(visible: str | None, exists: Callable[[str], bool] | None = None) -> str:
    """Return why PyTorch cannot use a GPU that this machine seems to have; "" if it has none.

    Args:
        visible: the environment variable that chooses among GPUs; "" or -1 hides them on purpose.
        exists: whether a file is there.
    """
    exists = exists if exists is not None else lambda path: Path(path).exists()
    if visible is not None and visible.strip() in ("", "-1"):
        return ""
    if sys.platform == "darwin" and not torch.backends.mps.is_built():
        return f"PyTorch {torch.__version__} is built without MPS; install the build for arm64"
    makers = {"NVIDIA": _nvidia(), "AMD": _amd()}
    for maker, kind in makers.items():
        if not any(exists(trace) for trace in kind.traces):
            continue
        built = torch.version.cuda if maker == "NVIDIA" else torch.version.hip
        if built is None:
            wanted = "CUDA" if maker == "NVIDIA" else "ROCm"
            return (
                f"this machine has a GPU by {maker}, but PyTorch {torch.__version__} is built "
                f"without {wanted}; install the build with it (https://pytorch.org/get-started)"
            )
        return f"this machine has a GPU by {maker}, but PyTorch cannot use it: {_first_error()}"
    return ""


def _first_error() -> str:
    """Return what PyTorch says when it is to use its first GPU."""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return (str(error).strip().splitlines() or ["no reason given"])[0]
    return "no GPU is visible to this process"


def nvidia_dtypes(capability: tuple[int, int]) -> list[torch.dtype]:
    """Return what autocast may use on a GPU of this compute capability, the fastest first.

    bf16 is native from Ampere on.
    """
    return [BF16, FP16] if capability >= (8, 0) else [FP16]


def nvidia_best(capability: tuple[int, int]) -> torch.dtype | None:
    """Return what is fastest: before Volta there are no tensor cores, and float32 is."""
    return nvidia_dtypes(capability)[0] if capability >= (7, 0) else None


def amd_dtypes(architecture: str) -> list[torch.dtype]:
    """Return what autocast may use on a GPU of AMD, the fastest first.

    Versions of AMD's architectures are no compute capabilities: gfx906 is 9.0 and has no bf16.

    Args:
        architecture: as `gcnArchName` gives it, such as gfx90a:sramecc+:xnack-.

    >>> amd_dtypes("gfx942:sramecc+:xnack-")[0], amd_dtypes("gfx1030")
    (torch.bfloat16, [torch.float16])
    """
    return [BF16, FP16] if architecture.startswith(_AMD_WITH_BF16) else [FP16]


def _architecture(index: int) -> str:
    properties: Any = torch.cuda.get_device_properties(index)
    return str(getattr(properties, "gcnArchName", ""))


def _nvidia() -> Accelerator:
    def capability(index: int) -> tuple[int, int]:
        return torch.cuda.get_device_capability(index)

    return Accelerator(
        "cuda",
        f"CUDA {torch.version.cuda}",
        "CUDA_VISIBLE_DEVICES",
        torch.cuda.is_available,
        torch.cuda.device_count,
        torch.cuda.get_device_name,
        lambda index: nvidia_dtypes(capability(index)),
        lambda index: nvidia_best(capability(index)),
        refuse_gpu_without_kernels,
        ("/proc/driver/nvidia/gpus", "/dev/nvidia0"),
    )


def _amd() -> Accelerator:
    return Accelerator(
        "cuda",
        f"ROCm {torch.version.hip}",
        "HIP_VISIBLE_DEVICES",
        torch.cuda.is_available,
        torch.cuda.device_count,
        lambda index: f"{torch.cuda.get_device_name(index)}, ROCm {torch.version.hip}",
        lambda index: amd_dtypes(_architecture(index)),
        lambda index: amd_dtypes(_architecture(index))[0],
        traces=("/dev/kfd",),
    )


def _intel() -> Accelerator:
    return Accelerator(
        "xpu",
        "XPU",
        "ZE_AFFINITY_MASK",
        torch.xpu.is_available,
        torch.xpu.device_count,
        lambda index: f"{torch.xpu.get_device_name(index)}, XPU",
        lambda index: [BF16, FP16],
        lambda index: BF16,
        is_required=False,
    )


def _apple() -> Accelerator:
    return Accelerator(
        "mps",
        "MPS",
        "",
        torch.backends.mps.is_available,
        lambda: 1,
        lambda index: "Apple GPU, MPS",
        # bf16 came with macOS 14.
        lambda index: [FP16, BF16] if torch.backends.mps.is_macos_or_newer(14, 0) else [FP16],
        lambda index: None,
        is_required=False,
    )
