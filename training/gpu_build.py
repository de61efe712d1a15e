"""Which GPUs the installed PyTorch can compute on: those that its build has kernels for."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from goldfold.errors import InputError

Capability = tuple[int, int]


def has_kernels(capability: Capability, built_for: Sequence[str]) -> bool:
    """Return whether a build with these targets runs on a GPU of this compute capability.

    Machine code (`sm_86`) runs on its own minor version and later ones of the same major version,
    that of an architecture (`sm_90a`) on this one alone. Intermediate code (`compute_90`) is
    compiled by the driver for any later version.

    Source: CUDA C++ Programming Guide, sections "Binary Compatibility" and "PTX Compatibility".

    Args:
        capability: (major, minor) of the GPU.
        built_for: as `torch.cuda.get_arch_list` gives them.

    >>> has_kernels((8, 9), ["sm_80"]), has_kernels((6, 0), ["sm_75", "sm_80"])
    (True, False)
    """
    return any(_runs_on(capability, target) for target in built_for)


def _runs_on(capability: Capability, target: str) -> bool:
    parts = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", target)
    if parts is None:
        return False
    version = int(parts[2]), int(parts[3])
    if parts[4] == "a":
        return capability == version
    if parts[1] == "compute":
        return capability >= version
    return capability[0] == version[0] and capability[1] >= version[1]


def refuse_gpu_without_kernels(index: int) -> None:
    """Raise InputError if PyTorch sees a GPU that its build has no kernels for.

    Without this, the first kernel fails with an error about images that "no kernel image is
    available for". Builds for AMD's GPUs name their targets otherwise and are not judged here.

    Args:
        index: number of the GPU among the visible ones.
    """
    if torch.version.hip is not None:
        return
    capability = torch.cuda.get_device_capability(index)
    built_for = torch.cuda.get_arch_list()
    if has_kernels(capability, built_for):
        return
    name = torch.cuda.get_device_name(index)
    needed = f"sm_{capability[0]}{capability[1]}"
    raise InputError(
        f"GPU {index} ({name}) cannot be used: it needs kernels for {needed}, and the installed "
        f"PyTorch {torch.__version__} (CUDA {torch.version.cuda}) has them for "
        f"{', '.join(built_for) or 'no GPU'}. Install a build of PyTorch 2.6 or later that lists "
        f"{needed} in torch.cuda.get_arch_list() (GPUs before sm_75, such as P100 and V100, need "
        "one for CUDA 12.6), choose another GPU with CUDA_VISIBLE_DEVICES, or set "
        'CUDA_VISIBLE_DEVICES="" to compute on the CPU.'
    )
