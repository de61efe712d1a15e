"""Networks run through torch.compile: one graph for all networks of a kind, weights as arguments.

Five folds with three checkpoints each are fifteen networks of one architecture. TorchDynamo takes
weights as inputs of a graph and compares everything else that the graph depends on (its guards), so
the second network runs the graph of the first. Frozen weights (`freezing`) would be part of the
graph: each network would be compiled for itself, up to a limit, and run without a graph beyond it.
What freezing saves in a pass is the casting of weights; they are cast once here instead.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from goldfold.errors import InputError
from goldfold.training import compiled_graphs
from goldfold.training.compiled_graphs import first_line, many_graphs
from goldfold.training.device import Device
from goldfold.training.memory import is_library_failure, is_out_of_memory

_CAST = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""What autocast computes in its dtype."""
_REMEDY = 'Set inference.engine = "torch", or "auto" to measure what is faster.'
LOGIT_TOLERANCE = 0.05
"""Logits in half precision may differ by this share of the largest."""


class CompiledEngine:
    """Images in, logits out, through compiled graphs.

    Attributes:
        eager: passes in which no compiled graph ran.
    """

    def __init__(
        self,
        model: nn.Module,
        device: Device,
        example: torch.Tensor,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take a network; it is compiled at its first call, for each shape it is given.

        Args:
            model: in eval mode on the device, float32.
            device: its precision is that of the graphs.
            example: network input, float32 (1, C, S, S) on the device.
            warn: takes a line at the first pass in which no compiled graph ran.
        """
        self._call = torch.compile(
            _with_cast_weights(model, device, example),
            backend=compiled_graphs.GRAPHS,
            dynamic=False,
        )
        self._warn, self._worked = warn, False
        self.eager = 0

    def __call__(self, images: torch.Tensor) -> Any:
        """Return what the network returns.

        Raises:
            InputError: PyTorch cannot compile it here.
        """
        before = compiled_graphs.GRAPHS.ran
        try:
            with many_graphs():
                output = self._call(images)
        except Exception as error:
            # Compilation fails in many ways (no C++ compiler is one).
            if self._worked or is_out_of_memory(error) or is_library_failure(error):
                raise
            raise InputError(f"torch.compile failed ({first_line(error)}). {_REMEDY}") from error
        self._worked = True
        if compiled_graphs.GRAPHS.ran == before:
            self.eager += 1
            if self.eager == 1:
                self._warn(
                    f"a network ran without a compiled graph, no faster than PyTorch. {_REMEDY}"
                )
        return output


@torch.no_grad()
def _with_cast_weights(model: nn.Module, device: Device, example: torch.Tensor) -> nn.Module:
    """Return a copy with the weights that autocast would cast in each pass, cast once.

    The network itself where that would change what it gives, such as one that switches autocast off
    for a part.
    """
    if device.autocast_dtype is None:
        return model
    cast = copy.deepcopy(model)
    for module in cast.modules():
        if type(module) in _CAST:
            module.to(device.autocast_dtype)
    try:
        with device.autocast():
            expected, given = _first(model(example)), _first(cast(example))
    except (RuntimeError, TypeError):
        return model
    apart = (given.float() - expected.float()).abs().max()
    return cast if bool(apart <= LOGIT_TOLERANCE * expected.float().abs().max()) else model


def _first(output: Any) -> torch.Tensor:
    logits: torch.Tensor = output if isinstance(output, torch.Tensor) else output[0]
    return logits
