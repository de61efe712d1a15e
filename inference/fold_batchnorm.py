"""BatchNorm folded into the convolution before it: the same function with fewer passes."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

_TOLERANCE = 1e-3
"""Largest difference of logits, relative to their spread, between folded and plain network."""


@torch.inference_mode()
def fold_batchnorms(model: nn.Module, images: torch.Tensor) -> tuple[nn.Module, int]:
    """Return a copy of a network without the BatchNorms that follow a convolution, and their count.

    Which ones do is seen in a forward pass: the BatchNorm gets the very tensor that a convolution
    gave. The copy is compared with the network on the same images; should a convolution's result
    be used elsewhere too, so that they differ, the network itself is returned, and 0.

    Args:
        model: in eval mode, float32.
        images: example input (N, C, H, W), float32, on the network's device.
    """
    folded = copy.deepcopy(model)
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
    output = _first(folded(images))
    # A single number has no spread.
    spread = max(float(expected.std() if expected.numel() > 1 else expected.abs().max()), 1e-6)
    if not float((output - expected).abs().max()) <= _TOLERANCE * spread:
        return model, 0
    return folded, len(pairs)


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
