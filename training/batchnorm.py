"""BatchNorm statistics taken anew: those of other weights do not fit averaged ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from goldfold.training.device import Device

BatchNorm = nn.modules.batchnorm._BatchNorm


def has_batchnorm(model: nn.Module) -> bool:
    """Return whether the network has BatchNorms whose statistics follow its images."""
    return bool(_followers(model))


@torch.no_grad()
def reestimate_batchnorm(model: nn.Module, batches: Iterable[torch.Tensor], device: Device) -> None:
    """Give every BatchNorm the mean of the statistics of these batches.

    Each batch counts the same. The network is left in eval mode.

    Args:
        model: on the device.
        batches: network inputs, (N, C, H, W) each.
        device: its autocast holds for the passes.

    Source: Izmailov et al. 2018, section 3.2; `update_bn` of torch.optim.swa_utils.
    """
    layers = _followers(model)
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    model.eval()
    for layer in layers:
        layer.train()
        layer.reset_running_stats()
    hooks = [layer.register_forward_pre_hook(_PlainMean()) for layer in layers]
    try:
        for batch in batches:
            with device.autocast():
                model(batch)
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
    """

    def __init__(self) -> None:
        self._batches = 0

    def __call__(self, layer: nn.Module, _: Any) -> None:
        self._batches += 1
        layer.momentum = 1.0 / self._batches


def _followers(model: nn.Module) -> list[BatchNorm]:
    """Return the BatchNorms with running statistics that are not frozen."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, BatchNorm)
        and layer.track_running_stats
        and not getattr(layer, "frozen", False)
    ]
