"""The plain U-Net: from scratch, no pretrained encoder."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class VanillaUnet(nn.Module):
    """A U-Net with two 3 x 3 convolutions a level and twice the filters at each level below.

    Source: Ronneberger et al. 2015, U-Net, with padding and BatchNorm; 8 to 128 filters are those
    of a widely copied public notebook of the SIIM-ACR competition.
    """

    def __init__(self, in_channels: int = 1, classes: int = 1, filters: int = 8, depth: int = 5):
        """Build it.

        Args:
            in_channels: of the images.
            classes: masks.
            filters: of the first level.
            depth: levels; the last has filters x 2 ** (depth - 1).
        """
        super().__init__()
        widths = [filters * 2**level for level in range(depth)]
        self.encoder = nn.ModuleList(
            double_convolution(before, width)
            for before, width in zip([in_channels, *widths], widths, strict=False)
        )
        self.decoder = nn.ModuleList(
            double_convolution(below + width, width)
            for below, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(filters, classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes, H, W); H and W are multiples of 2 ** (depth - 1)."""
        skips: list[torch.Tensor] = []
        features = images
        for level, block in enumerate(self.encoder):
            features = block(F.max_pool2d(features, 2) if level else features)
            skips.append(features)
        for block, skip in zip(self.decoder, reversed(skips[:-1]), strict=True):
            larger = F.interpolate(features, scale_factor=2.0, mode="nearest")
            features = block(torch.cat((larger, skip), dim=1))
        logits: torch.Tensor = self.head(features)
        return logits


def double_convolution(before: int, width: int) -> nn.Sequential:
    """Return two convolutions, each with BatchNorm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
