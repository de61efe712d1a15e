"""One small kernel on a GPU before it is chosen, and what its error means."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from goldfold.training.accelerators import Accelerator

_SIDE = 8
_SUM = 548.0  # of all pixels: 6² with 9 neighbours, 4 x 6 with 6, 4 with 4, and the image's 8²

_MEANINGS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("no kernel image", "invalid device function", "not compiled with"),
        "this PyTorch has no kernels for it. Install a build that has, or choose another GPU with "
        "{variable}",
    ),
    (
        ("driver version is insufficient", "driver on your system is too old", "forward compat"),
        "its driver is too old for this PyTorch. Update the driver, or install a build for an "
        "older {maker}",
    ),
    (
        ("out of memory", "not enough memory", "alloc_failed", "resource allocation failed"),
        "its memory is taken by other processes (nvidia-smi, rocm-smi or xpu-smi lists them). End "
        "them, wait, or choose another GPU with {variable}",
    ),
    (
        ("busy or unavailable", "exclusive"),
        "another process holds it alone. Wait for that to end; or let several use it "
        "(nvidia-smi -c DEFAULT); with MIG, name an instance of your own in {variable}",
    ),
    (
        ("no cuda-capable device", "invalid device ordinal", "no such device"),
        "it is not there for this process. {variable} must name GPUs, or MIG instances, that "
        "nvidia-smi -L lists",
    ),
    (
        ("not yet initialized", "error 802"),
        "the machine's NVLink fabric has not started (nvidia-fabricmanager). Start the service, "
        "or ask who runs the machine",
    ),
    (
        ("ecc error", "hardware", "unspecified launch failure", "illegal memory access"),
        "the GPU or its driver has failed. Restart the machine, or choose another GPU with "
        "{variable}",
    ),
)


def meaning_of(error: BaseException, kind: Accelerator) -> str:
    """Return in words what a GPU's error means and what to do; its own first line otherwise."""
    text = str(error).strip()
    first = (text.splitlines() or [type(error).__name__])[0]
    for patterns, words in _MEANINGS:
        if any(pattern in text.lower() for pattern in patterns):
            maker = kind.build.split(" ", maxsplit=1)[0]
            told = words.format(variable=kind.variable or "--devices", maker=maker)
            return f"{told} ({first[:200]})"
    return f"{first[:200]}. Choose another GPU with {kind.variable or '--devices'}"


@cache
def try_kernels(place: torch.device, dtype: torch.dtype | None) -> None:
    """Compute a convolution, a sum and their gradient, and read the results.

    The first call for a device and dtype computes; later ones do nothing.

    Args:
        place: a GPU.
        dtype: of autocast, None for float32.

    Raises:
        RuntimeError: the device cannot, or computes something else.
    """
    images = torch.ones(1, 1, _SIDE, _SIDE, device=place)
    kernel = torch.ones(1, 1, 3, 3, device=place, requires_grad=True)
    with torch.autocast(place.type, dtype=dtype, enabled=dtype is not None):
        output = F.conv2d(images, kernel, padding=1) + images
    total = output.float().sum()
    total.backward()  # type: ignore[no-untyped-call]
    if kernel.grad is None or not kernel.grad.isfinite().all().item() or total.item() != _SUM:
        raise RuntimeError(f"a convolution of ones sums to {total.item()}, expected {_SUM}")
