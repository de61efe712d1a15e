"""All networks of a member and their views as one network, for other programs to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from goldfold.inference.views import View
from goldfold.training.batch import MEAN, SPREAD


class MeanNetwork(nn.Module):
    """The mean probability over networks and views, of images with levels from 0 to 255."""

    def __init__(
        self,
        networks: Sequence[nn.Module],
        views: Sequence[View],
        probability: Callable[[Any, View, int, int], torch.Tensor],
    ) -> None:
        """Take networks in eval mode.

        Args:
            networks: of all seeds and folds.
            views: flips and turns, without a change of scale.
            probability: what a network's output under a view says, as `ImageDecision.probability`.
        """
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.views, self.probability = list(views), probability

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return probabilities, float32 (N, M, H, W), or (N, C) of classes.

        Args:
            images: float32 (N, C, H, W).
        """
        inputs = (images / 255.0 - MEAN) / SPREAD
        height, width = images.shape[-2:]
        total: torch.Tensor | None = None
        for network in self.networks:
            for view in self.views:
                output = network(view.forward(inputs))
                seen = self.probability(output, view, height, width)
                total = seen if total is None else total + seen
        assert total is not None
        return total / (len(self.networks) * len(self.views))
