"""TensorFloat-32 on a CPU: convolutions and matrix products round their inputs as Ampere does.

An NVIDIA GPU from compute capability 8.0 on multiplies float32 numbers with 10 bits of mantissa
where TF32 is allowed, and adds up in float32: the default of PyTorch for convolutions, not for
matrix products. `Tf32` does the same wherever its switch is on at the time of the call:

- convolutions: `torch.backends.cudnn.allow_tf32`, or `torch.backends.cudnn.conv.fp32_precision`;
- matrix products: `torch.backends.cuda.matmul.allow_tf32`, `torch.set_float32_matmul_precision`,
  or `torch.backends.cuda.matmul.fp32_precision`.

Known limits: the order of the sums is that of the CPU; cuDNN may choose an algorithm (Winograd,
FFT) with other errors; a kernel compiled by inductor is not seen.

Source: PTX ISA, cvt.rna.tf32.f32 (nearest, ties away from zero).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_DROPPED = 13  # of the 23 bits of a float32's mantissa
_CONVOLUTIONS = {"aten::convolution", "aten::_convolution", "aten::convolution_backward"}
_PRODUCTS = {"aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"}
_ONLY_ADDED = {  # place of an argument that is not multiplied
    "aten::addmm": 0,
    "aten::baddbmm": 0,
    "aten::convolution": 2,
    "aten::_convolution": 2,
}


def round_to_tf32(values: torch.Tensor) -> torch.Tensor:
    """Return float32 values rounded to 10 bits of mantissa, same shape; other dtypes as they are.

    >>> round_to_tf32(torch.tensor([1 + 2**-10, 1 + 2**-11, 1 + 2**-12])).tolist()
    [1.0009765625, 1.0009765625, 1.0]
    """
    if values.dtype is not torch.float32:
        return values
    half, kept = 1 << (_DROPPED - 1), -1 << _DROPPED
    rounded = (values.view(torch.int32) + half).bitwise_and_(kept).view(torch.float32)
    return torch.where(values.isfinite(), rounded, values)


class Tf32(TorchDispatchMode):
    """A context in which float32 convolutions and matrix products on the CPU are TF32.

    Attributes:
        rounded: operators that rounded their inputs, in order; a test that expects some must look.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rounded: list[str] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if is_composite(func):  # arrives whole in inference mode
            with self:
                return func.decompose(*args, **named)
        name = func._schema.name
        if _rounds(name):
            self.rounded.append(name)
        return func(*tf32_arguments(name, args), **named)


def tf32_arguments(name: str, args: Sequence[Any]) -> tuple[Any, ...]:
    """Return the arguments of an operator, rounded if it is one that TF32 is allowed in.

    Args:
        name: as `aten::convolution`.
        args: by position.
    """
    if not _rounds(name):
        return tuple(args)
    exact = _ONLY_ADDED.get(name)
    return tuple(
        round_to_tf32(value) if isinstance(value, torch.Tensor) and place != exact else value
        for place, value in enumerate(args)
    )


@cache
def is_composite(func: Any) -> bool:
    """Return whether an operator is made of others, on every device alike."""
    return bool(
        torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    )


def _rounds(name: str) -> bool:
    if name in _CONVOLUTIONS:
        return _allowed(torch.backends.cudnn, getattr(torch.backends.cudnn, "conv", None))
    if name in _PRODUCTS:
        return _allowed(torch.backends.cuda.matmul, torch.backends.cuda.matmul)
    return False


def _allowed(legacy: Any, current: Any) -> bool:
    """Return whether a switch is on; PyTorch 2.9 renamed it and refuses to read some mixtures."""
    precision = getattr(current, "fp32_precision", None)
    if precision is None:
        return bool(legacy.allow_tf32)
    return bool(precision == "tf32")
