"""TensorFloat-32 in convolutions and matrix products: switches of the whole process.

GPUs from Ampere on compute float32 convolutions in TF32 unless told not to: ten bits of mantissa
instead of 23. PyTorch 2.9 has a second set of switches, one for each operator, and an older switch
cannot be read while a newer one contradicts it. So the older ones are set as long as they can be
read, and the newer ones only where a user has set these apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

_undo: list[Callable[[], None]] = []
"""What ends strict float32; empty where the process is not strict."""


@contextmanager
def full_float32() -> Iterator[None]:
    """Switch TF32 off until the block ends, for comparisons."""
    put_back = _forbid()
    try:
        yield
    finally:
        put_back()


def be_strict(strict: bool) -> None:
    """Switch TF32 off for the process, or, if this switched it off, give it back as it was."""
    if strict:
        put_back = _forbid()
        if not _undo:
            _undo.append(put_back)
    elif _undo:
        _undo.pop()()


def convolutions_use_tf32() -> bool:
    """Return whether a GPU that has TF32 would use it in convolutions."""
    allowed = _read(lambda: torch.backends.cudnn.allow_tf32)
    if allowed is None:
        return any(operator.fp32_precision == "tf32" for operator in _convolutions())
    return bool(allowed)


def _forbid() -> Callable[[], None]:
    """Switch TF32 off; return what puts all switches back."""
    put_back = [_forbid_in_convolutions(), _forbid_in_products()]

    def undo() -> None:
        for each in put_back:
            each()

    return undo


def _forbid_in_convolutions() -> Callable[[], None]:
    cudnn = torch.backends.cudnn
    allowed = _read(lambda: cudnn.allow_tf32)
    before = [(operator, operator.fp32_precision) for operator in _convolutions()]
    if allowed:
        cudnn.allow_tf32 = False
    for operator in _convolutions():
        if operator.fp32_precision == "tf32":  # which can come from a switch for all operators
            operator.fp32_precision = "ieee"

    def undo() -> None:
        if allowed:
            cudnn.allow_tf32 = True
        elif allowed is None:
            for operator, precision in before:
                operator.fp32_precision = precision

    return undo


def _forbid_in_products() -> Callable[[], None]:
    matmul: Any = torch.backends.cuda.matmul
    allowed = _read(lambda: matmul.allow_tf32)
    precision = _read(torch.get_float32_matmul_precision)
    if allowed is not None and precision is not None:
        torch.set_float32_matmul_precision("highest")
        return lambda: torch.set_float32_matmul_precision(precision)
    before = matmul.fp32_precision
    matmul.fp32_precision = "ieee"

    def undo() -> None:
        matmul.fp32_precision = before

    return undo


def _convolutions() -> list[Any]:
    """Return cuDNN's operators with a switch of their own; none before PyTorch 2.9."""
    cudnn = torch.backends.cudnn
    return [cudnn.conv, cudnn.rnn] if hasattr(cudnn, "conv") else []


def _read(switch: Callable[[], Any]) -> Any:
    """Return an older switch, None where a newer one contradicts it."""
    try:
        return switch()
    except RuntimeError:
        return None
