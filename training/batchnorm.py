"""BatchNorm statistics taken anew: those of other weights do not fit averaged ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from goldfold.training.device import Device
from goldfold.training.kept_buffers import KeptBuffers
from goldfold.training.passes import Passes

BatchNorm = nn.modules.batchnorm._BatchNorm


def has_batchnorm(model: nn.Module) -> bool:
    """Return whether the network has BatchNorms whose statistics follow its images."""
    return bool(_followers(model))


@torch.no_grad()
def reestimate_batchnorm(
    model: nn.Module,
    batches: Iterable[torch.Tensor],
    device: Device,
    *,
    passes: Passes | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Give every BatchNorm the mean of the statistics of these batches.

    Each batch counts the same, and so does each part of one where memory does not suffice for the
    whole. The network is left in eval mode.

    Args:
        model: on the device.
        batches: network inputs, (N, C, H, W) each.
        device: its autocast holds for the passes.
        passes: how many images pass at once; whole batches unless given, until memory is short.
        say: takes a line each time that the size of a pass is halved.

    Raises:
        GoldfoldError: out of memory with a single image.

    Source: Izmailov et al. 2018, section 3.2; `update_bn` of torch.optim.swa_utils.
    """
    layers = _followers(model)
    if not layers:
        return
    passes = passes if passes is not None else Passes()
    momenta = [layer.momentum for layer in layers]
    model.eval()
    for layer in layers:
        layer.train()
        layer.reset_running_stats()
    means = [_PlainMean() for _ in layers]
    hooks = [
        layer.register_forward_pre_hook(mean) for layer, mean in zip(layers, means, strict=True)
    ]
    buffers = KeptBuffers(model)
    count = 0

    def attempt(images: torch.Tensor, part: slice) -> None:
        nonlocal count
        # A pass that failed has reached some of the layers.
        buffers.put_back()
        for mean in means:
            mean.batches = count
        with device.autocast():
            model(images[part])
        count += 1
        buffers.keep()

    try:
        for batch in batches:
            passes.in_halves(len(batch), partial(attempt, batch), device, say)
    finally:
        for hook in hooks:
            hook.remove()
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        model.eval()


class _PlainMean:
    """Makes a BatchNorm take the plain mean over its batches.

    It does so by itself if its momentum is None, but then waits for the device to learn how many
    batches there were.

    Attributes:
        batches: there were so far.
    """

    def __init__(self) -> None:
        self.batches = 0

    def __call__(self, layer: Any, _: Any) -> None:
        self.batches += 1
        layer.momentum = 1.0 / self.batches


def _followers(model: nn.Module) -> list[BatchNorm]:
    """Return the BatchNorms with running statistics that are not frozen."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, BatchNorm)
        and layer.track_running_stats
        and not getattr(layer, "frozen", False)
    ]
