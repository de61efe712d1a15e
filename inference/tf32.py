"""Convolutions and matrix products in full float32 for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """Switch TF32 off until the block ends, for comparisons.

    GPUs from Ampere on compute float32 convolutions in TF32 unless told not to: ten bits of
    mantissa instead of 23. The switches are those of the whole process.
    """
    switches = _switches()
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in switches]
    try:
        for owner, name, off in switches:
            setattr(owner, name, off)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _switches() -> list[tuple[Any, str, Any]]:
    """Return what decides on TF32: an object, its attribute, and the value without TF32.

    PyTorch 2.9 has one switch for each operator and warns of the older ones, which read as an error
    where the new ones were set apart.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if hasattr(cudnn, "conv"):
        return [(owner, "fp32_precision", "ieee") for owner in (matmul, cudnn.conv, cudnn.rnn)]
    return [(owner, "allow_tf32", False) for owner in (matmul, cudnn)]
