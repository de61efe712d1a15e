"""Losses of the user's own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from goldfold.own_code import Role, resolve, running, wrong_value
from goldfold.training.memory import is_out_of_memory

LOSS = Role(
    "loss",
    "loss(logits, targets)",
    "the mean loss of the batch, a scalar tensor that depends on the logits",
    positional=2,
)


def own_loss(reference: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a loss (logits, targets) -> float32 scalar whose result is checked at every call.

    Args:
        reference: bound `module:object`. Its function takes logits, float32 (N, C, H, W), and
            targets of that shape, float32 of 0 to 1; of classes both are (N, 1, 1, C).

    Raises:
        InputError: the object cannot be loaded, or does not take these arguments.
    """
    function = resolve(reference, LOSS)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        with running(reference, LOSS, _memory):
            value = function(logits, targets)
        if not isinstance(value, Tensor) or value.numel() != 1:
            shape = tuple(value.shape) if isinstance(value, Tensor) else ""
            raise wrong_value(reference, LOSS, f"{type(value).__name__} {shape}".strip())
        if torch.is_grad_enabled() and logits.requires_grad and not value.requires_grad:
            raise wrong_value(reference, LOSS, "a tensor that does not depend on the logits")
        return value.float().reshape(())

    return loss


def _memory(error: BaseException) -> bool:
    """Return whether a smaller batch may help, which the step then tries."""
    return isinstance(error, RuntimeError) and is_out_of_memory(error)
