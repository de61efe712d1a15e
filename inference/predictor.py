"""From cached images to probabilities: the mean over checkpoints and views."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.errors import InputError
from goldfold.inference.merge import Merger
from goldfold.inference.views import View, get_views
from goldfold.training.batch import network_input
from goldfold.training.device import Device
from goldfold.training.networks.output import split_output

Network = Callable[[torch.Tensor], Any]
"""Images (N, C, H, W) -> logits (N, M, H, W) of M masks; and presence logits (N, 1) with a head."""

Seen = tuple[torch.Tensor, torch.Tensor | None]


@dataclass(frozen=True)
class Predictor:
    """Checkpoints of one fold, how they look at an image, and how what they see is merged.

    Attributes:
        networks: in eval mode on the device.
        device: its autocast holds for the networks alone; means are taken in float32.
        views: test-time augmentation.
        merge: name of the mean over checkpoints and views.
    """

    networks: Sequence[Network]
    device: Device
    views: Sequence[View] = field(default_factory=lambda: get_views("none"))
    merge: str = "mean"

    def __post_init__(self) -> None:
        """Refuse a predictor that has nothing to predict with."""
        if not self.networks:
            raise InputError("expected at least one checkpoint to predict with, found none.")
        if not self.views:
            raise InputError("expected at least one view, found none.")
        Merger(self.merge)

    @torch.inference_mode()
    def probability(self, pixels: NDArray[np.uint8] | torch.Tensor) -> Seen:
        """Return the merged probability, float32 (N, M, S, S), and the presence's, (N,).

        The presence probability is merged over the networks that have a head for it; None where
        none has.

        Args:
            pixels: cached images, uint8 (N, S, S) or (N, S, S, 3).
        """
        mask, presence = Merger(self.merge), Merger(self.merge)
        for seen, told in self.every_view(pixels):
            mask.add(seen)
            if told is not None:
                presence.add(told)
        return mask.result(), presence.result() if len(presence) else None

    def every_view(self, pixels: NDArray[np.uint8] | torch.Tensor) -> Iterator[Seen]:
        """Yield what each network sees in each view, views innermost: as `probability`."""
        images = network_input(pixels, self.device.device, channels_last=self.device.channels_last)
        for network in self.networks:
            for view in self.views:
                yield see(network, images, view, self.device)


@torch.inference_mode()
def see(network: Network, images: torch.Tensor, view: View, device: Device) -> Seen:
    """Return the probability that a network gives in a view, laid back onto the images.

    Args:
        network: gives logits.
        images: network input, float32 (N, C, H, W).
        view: one of `get_views`.
        device: where both are.

    Returns:
        float32 (N, M, H, W) in 0..1, and the presence's float32 (N,), None without a head: a view
        changes nothing about whether there is something to see.
    """
    looked = view.forward(images)
    if device.channels_last:
        looked = looked.contiguous(memory_format=torch.channels_last)
    with device.autocast():
        logits, told = split_output(network(looked))
    probability = torch.sigmoid(logits.float())
    height, width = images.shape[-2:]
    presence = None if told is None else torch.sigmoid(told.float())
    return view.inverse(probability, height, width), presence
