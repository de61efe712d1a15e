"""Views for test-time augmentation: an image is seen several ways and the maps are turned back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import ttach
from torch import nn

from goldfold.errors import InputError, did_you_mean
from goldfold.training.device import Device
from goldfold.training.networks.output import split_output

VIEWS: Mapping[str, Callable[[], ttach.Compose]] = MappingProxyType(
    {
        "none": lambda: ttach.Compose([]),
        "hflip": lambda: ttach.Compose([ttach.HorizontalFlip()]),
    }
)
"""Name -> the views, the untouched image always among them."""


def get_views(name: str) -> ttach.Compose:
    """Return the views of that name; iterating over them gives ttach transformers.

    Raises:
        InputError: there are none of that name.

    >>> len(get_views("hflip"))
    2
    """
    if name not in VIEWS:
        hint = did_you_mean(name, VIEWS)
        raise InputError(f"unknown views {name!r}; there are {', '.join(VIEWS)}.{hint}")
    return VIEWS[name]()


def view_probability(
    model: nn.Module, images: torch.Tensor, views: ttach.Compose, device: Device
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the mean probability over the views, turned back, float32 (N, 1, H, W) in 0..1.

    Beside it stands the mean presence probability, float32 (N,), None without a presence head: a
    view changes nothing about whether there is something to see.

    Args:
        model: gives logits (N, 1, H, W), and presence logits if it has a head for them.
        images: network input (N, C, H, W).
        views: of `get_views`.
        device: its autocast holds for the network alone; the mean is taken in float32.
    """
    total: torch.Tensor | None = None
    presence: torch.Tensor | None = None
    for view in views:
        with device.autocast():
            logits, told = split_output(model(view.augment_image(images)))
        probability = view.deaugment_mask(torch.sigmoid(logits.float()))
        total = probability if total is None else total + probability
        if told is not None:
            seen = torch.sigmoid(told.float())
            presence = seen if presence is None else presence + seen
    if total is None:
        raise InputError("expected at least one view, found none.")
    return total / len(views), None if presence is None else presence / len(views)
