"""torch.compile where it works, the plain network where it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from goldfold.training import compiled_graphs
from goldfold.training.compiled_graphs import first_line, many_graphs
from goldfold.training.memory import is_out_of_memory

Compilation = Literal["off", "on", "graphs"]
"""How a network is trained: as it is, compiled, or compiled and replayed as CUDA graphs."""

MOST_SHAPES = 4
"""Shapes of batches that are compiled: memory that does not suffice halves a batch again and
again, and compiling each size would take longer than it saves."""


class CompiledNetwork(nn.Module):
    """Calls the compiled network; from its first failure on, the plain one.

    Compiled is the shape of the first batch, and any other that comes twice in a row. The smaller
    batch at the end of an epoch goes through the plain network, as compiling it would take longer
    than all its steps. The weights are those of the plain network, under their own names.
    """

    def __init__(
        self, model: nn.Module, say: Callable[[str], None], compilation: Compilation = "on"
    ) -> None:
        """Take the network; it is compiled at its first call.

        Args:
            model: the plain network.
            say: takes a line where it cannot be compiled, or no compiled graph runs.
            compilation: `on` or `graphs`.
        """
        super().__init__()
        self.model = model
        self._graphs = compilation == "graphs"
        self._runs = compiled_graphs.GRAPHS
        self._compiled: Callable[..., Any] | None = torch.compile(
            model, backend=self._runs, dynamic=False, options=_options(self._graphs)
        )
        self._say, self._worked, self._told = say, False, False
        self._shapes: set[torch.Size] = set()
        self._last_shape: torch.Size | None = None

    def forward(self, images: torch.Tensor) -> Any:
        """Return what the network returns for these images."""
        if self._compiled is None or not self._is_usual(images.shape):
            return self.model(images)
        before = self._runs.ran
        try:
            if self._graphs:
                torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            with many_graphs():
                output = self._compiled(images)
        except Exception as error:
            # Compilation fails in many ways, and none of them concerns the network itself.
            if self._worked or is_out_of_memory(error):
                raise
            self._compiled = None
            self._say(f"torch.compile failed ({first_line(error)}); continuing without it")
            return self.model(images)
        self._worked = True
        if self._runs.ran == before and not self._told:
            self._told = True
            self._say("torch.compile made no graph of the network; training is no faster with it")
        return output

    def _is_usual(self, shape: torch.Size) -> bool:
        """Return whether batches of this shape are compiled."""
        again = shape == self._last_shape
        self._last_shape = shape
        if shape in self._shapes:
            return True
        # Where a batch is divided, replaying a graph would overwrite the gradient of its parts.
        room = len(self._shapes) < (1 if self._graphs else MOST_SHAPES)
        if room and (again or not self._shapes):
            self._shapes.add(shape)
            return True
        return False


def _options(graphs: bool) -> dict[str, Any]:
    """Return the options of PyTorch's compiler, inductor."""
    return {
        "triton.cudagraphs": graphs,
        "fallback_random": True,  # dropout draws what the plain network would draw
        "cpp.dynamic_threads": True,  # a training that shares a processor changes their number
    }
