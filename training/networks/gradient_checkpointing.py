"""Less memory for more time: activations are computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

BatchNorm = nn.modules.batchnorm._BatchNorm


def enable_gradient_checkpointing(model: nn.Module) -> None:
    """Store only the borders of the network's blocks, and compute what is between them twice.

    Blocks are the children of the encoder and of the decoder, and the blocks in their lists.
    BatchNorm takes account of a batch once: the second pass changes no statistics.

    Source: Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost.
    """
    for block in _blocks(model):
        if any(p.requires_grad for p in block.parameters()):
            block.forward = _Recomputed(block)


def _blocks(model: nn.Module) -> Iterator[nn.Module]:
    for name in ("encoder", "decoder"):
        part = getattr(model, name, None)
        if isinstance(part, nn.Module):
            for child in part.children():
                yield from child.children() if _is_list_of_blocks(child) else (child,)


def _is_list_of_blocks(module: nn.Module) -> bool:
    """Return whether a module only holds blocks: a layer of a ResNet, not a chain of layers."""
    if isinstance(module, nn.ModuleList | nn.ModuleDict):
        return True
    leaves = any(not list(child.children()) for child in module.children())
    return isinstance(module, nn.Sequential) and not leaves


class _Recomputed:
    """A block's forward that stores no activations.

    An object that holds its block, and no closure: the deep copy of a network then holds the
    copied block, while a closure would go on calling the original's.
    """

    def __init__(self, block: nn.Module) -> None:
        self._block = block
        self._forward: Callable[..., Any] = block.forward  # bound, so a copy binds its own block

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if not (self._block.training and torch.is_grad_enabled()):
            return self._forward(*arguments, **keywords)
        first = [True]

        def once_or_again(*inner: Any, **named: Any) -> Any:
            if first[0]:
                first[0] = False
                return self._forward(*inner, **named)
            with _statistics_kept(self._block):
                return self._forward(*inner, **named)

        return checkpoint(once_or_again, *arguments, use_reentrant=False, **keywords)


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Let BatchNorms use the batch's statistics without remembering them."""
    layers = [m for m in block.modules() if isinstance(m, BatchNorm) and m.momentum is not None]
    momenta = [layer.momentum for layer in layers]
    counts = [layer.num_batches_tracked for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
        layer.num_batches_tracked = (
            None if layer.num_batches_tracked is None else (layer.num_batches_tracked.clone())
        )
    try:
        yield
    finally:
        for layer, momentum, count in zip(layers, momenta, counts, strict=True):
            layer.momentum, layer.num_batches_tracked = momentum, count
