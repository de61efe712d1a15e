"""torch.compile where it works, the plain network where it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from goldfold.training.memory import is_out_of_memory


class CompiledNetwork(nn.Module):
    """Calls the compiled network; from its first failure on, the plain one.

    The weights are those of the plain network, under their own names.
    """

    def __init__(self, model: nn.Module, say: Callable[[str], None]) -> None:
        """Take the network; it is compiled at its first call."""
        super().__init__()
        self.model = model
        self._compiled: Callable[..., Any] | None = torch.compile(model)
        self._say, self._worked = say, False

    def forward(self, images: torch.Tensor) -> Any:
        """Return what the network returns for these images."""
        if self._compiled is None:
            return self.model(images)
        try:
            output = self._compiled(images)
        except Exception as error:
            # Compilation fails in many ways, and none of them concerns the network itself.
            if self._worked or is_out_of_memory(error):
                raise
            self._compiled = None
            reason = str(error).strip().splitlines() or [type(error).__name__]
            self._say(f"torch.compile failed ({reason[0][:120]}); continuing without it")
            return self.model(images)
        self._worked = True
        return output


def compile_or_fall_back(model: nn.Module, say: Callable[[str], None]) -> nn.Module:
    """Return a network that is compiled at its first call, or one line and the plain one."""
    return CompiledNetwork(model, say)
