"""BatchNorm folded into the convolution before it: the same function with fewer passes."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from goldfold.training.tf32 import full_float32

_TOLERANCE = 1e-3
"""Largest difference of logits, relative to their spread, between folded and plain network.

In float32 it is 5e-6 to 2e-5; TF32 alone would make it 7e-3 to 3e-2."""
_LEAST_SPREAD = 0.1
"""Of several logits, relative to the largest: nearly equal ones differ by their rounding."""


@torch.no_grad()  # tensors of inference mode, as weights, cannot be compiled
def fold_batchnorms(model: nn.Module, images: torch.Tensor) -> tuple[nn.Module, int]:
    """Return a copy of a network without the BatchNorms that follow a convolution, and their count.

    Which ones do is seen in a forward pass: the BatchNorm gets the very tensor that a convolution
    gave. The copy is compared with the network on the same images, without TF32; should a
    convolution's result be used elsewhere too, so that they differ, the network itself is returned,
    and 0.

    Args:
        model: in eval mode, float32.
        images: example input (N, C, H, W), float32, on the network's device.
    """
    folded = copy.deepcopy(model)
    with full_float32():
        pairs, expected = _pairs(folded, images)
    if not pairs:
        return model, 0
    for convolution, norm in pairs:
        _fold(convolution, norm)
    gone = {id(norm) for _, norm in pairs}
    for parent in list(folded.modules()):
        for name, child in parent.named_children():
            if id(child) in gone:
                setattr(parent, name, nn.Identity())
    with full_float32():
        output = _first(folded(images))
    if not float((output - expected).abs().max()) <= _TOLERANCE * _spread(expected):
        return model, 0
    return folded, len(pairs)


def count_batchnorms(model: nn.Module) -> int:
    """Return how many BatchNorms a network has."""
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def folding_in_words(folded: Sequence[int], norms: Sequence[int]) -> str:
    """Return how many BatchNorms of several networks were folded; "" where there are none.

    >>> folding_in_words([30, 30], [31, 31]), folding_in_words([30, 0], [31, 31])
    ('30 of 31 BatchNorms folded', '30 of 62 BatchNorms folded')
    >>> folding_in_words([0], [31]), folding_in_words([0], [0])
    ('none of 31 BatchNorms could be folded', '')
    """
    if not any(norms):
        return ""
    if len(set(zip(folded, norms, strict=True))) == 1:
        folded, norms = folded[:1], norms[:1]  # of each network
    if not any(folded):
        return f"none of {sum(norms)} BatchNorms could be folded"
    return f"{sum(folded)} of {sum(norms)} BatchNorms folded"


def _spread(logits: torch.Tensor) -> float:
    """Return what differences are measured by; a single number has no standard deviation."""
    largest = float(logits.abs().max())
    if logits.numel() == 1:
        return max(largest, 1e-6)
    return max(float(logits.std()), _LEAST_SPREAD * largest, 1e-6)


def _pairs(
    model: nn.Module, images: torch.Tensor
) -> tuple[list[tuple[nn.Conv2d, nn.BatchNorm2d]], torch.Tensor]:
    """Return the convolutions with the BatchNorm that follows each, and the network's logits."""
    given: dict[int, nn.Conv2d] = {}
    alive: list[torch.Tensor] = []  # an id is only unique while its tensor lives
    followed: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    calls: Counter[int] = Counter()

    def after_convolution(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        calls[id(module)] += 1
        alive.append(output)
        given[id(output)] = module

    def before_norm(module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        calls[id(module)] += 1
        convolution = given.get(id(arguments[0]))
        if convolution is not None and module.running_mean is not None:
            followed.append((convolution, module))

    hooks = []
    for module in model.modules():
        if type(module) is nn.Conv2d:
            hooks.append(module.register_forward_hook(after_convolution))
        elif type(module) is nn.BatchNorm2d:
            hooks.append(module.register_forward_pre_hook(before_norm))
    try:
        logits = _first(model(images))
    finally:
        for hook in hooks:
            hook.remove()
    once = [(c, n) for c, n in followed if calls[id(c)] == 1 and calls[id(n)] == 1]
    return once, logits


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    convolution.weight, convolution.bias = weight, bias


def _first(output: Any) -> torch.Tensor:
    """Return the mask's logits of a network's output."""
    logits: torch.Tensor = output if isinstance(output, torch.Tensor) else output[0]
    return logits.float()
