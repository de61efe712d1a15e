"""All networks of a member and their views as one network, for other programs to run."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from goldfold.inference.network import Activation, activate
from goldfold.inference.views import View
from goldfold.training.batch import MEAN, SPREAD
from goldfold.training.label_validation import label_probability
from goldfold.training.networks.output import split_output


class MeanNetwork(nn.Module):
    """The mean probability over networks and views, of images with levels from 0 to 255."""

    def __init__(
        self,
        networks: Sequence[nn.Module],
        views: Sequence[View],
        *,
        classes: int,
        exclusive: bool,
        activation: Activation = "sigmoid",
    ) -> None:
        """Take networks in eval mode.

        Args:
            networks: of all seeds and folds.
            views: flips and turns, without a change of scale.
            classes: of the whole image; 0 for masks.
            exclusive: whether classes sum to one.
            activation: what makes probabilities of the logits of masks.
        """
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.views, self.classes, self.exclusive = list(views), classes, exclusive
        self.activation: Activation = activation

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
                if self.classes:
                    seen = label_probability(output, self.exclusive)
                else:
                    logits, _ = split_output(output)
                    seen = view.inverse(activate(logits, self.activation), height, width)
                total = seen if total is None else total + seen
        assert total is not None
        return total / (len(self.networks) * len(self.views))
