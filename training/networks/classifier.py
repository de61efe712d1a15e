"""Networks that give classes of the whole image: any of timm, and a plain one from scratch.

Their logits have the shape of a mask of one row with a pixel for each class, (N, 1, 1, C), so that
losses and loops are the same for both.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from goldfold.errors import InputError, did_you_mean
from goldfold.network_options import encoder_problems


class Classifier(nn.Module):
    """A network of timm without its head, and a linear layer on its pooled features."""

    def __init__(
        self,
        encoder_name: str,
        encoder_weights: str | None = None,
        in_channels: int = 3,
        classes: int = 1,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        """Build it.

        Args:
            encoder_name: of timm.
            encoder_weights: None for random ones, anything else for timm's published ones.
            in_channels: of the images; published kernels of three are summed down to one.
            classes: outputs.
            dropout: before the last layer.
            options: further arguments of `timm.create_model`, checked by `build_model`.

        Raises:
            InputError: timm has no such network.
        """
        import timm

        super().__init__()
        require_timm_network(encoder_name)
        self.encoder = timm.create_model(
            encoder_name,
            pretrained=encoder_weights is not None,
            in_chans=in_channels,
            num_classes=0,
            **options,
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(self._features(), classes))

    def _features(self) -> int:
        """Return the length of the pooled features, which some networks of timm understate."""
        return int(getattr(self.encoder, "head_hidden_size", None) or self.encoder.num_features)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (N, 1, 1, C)."""
        logits: torch.Tensor = self.head(self.encoder(images))
        return logits[:, None, None, :]


def require_timm_network(name: str) -> None:
    """Accept the name of a network that timm itself defines, with or without a tag.

    timm would fetch other names from a folder or a model hub.

    Raises:
        InputError: it defines no such network.
    """
    import timm

    if encoder_problems(name) or not timm.is_model(name):
        hint = did_you_mean(name, timm.list_models() + timm.list_pretrained())
        raise InputError(f"timm has no network {name!r}.{hint}")


class PlainCnn(nn.Module):
    """Five blocks of convolutions, each half the size of the one before, and dense layers.

    Source: the network from scratch of the widely copied public notebooks on chest-xray-pneumonia:
    blocks of 16 to 256 filters, dropout in the last two, dense layers of 512, 128 and 64.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 1,
        filters: int = 16,
        dropout: float = 0.2,
        dense_dropout: float = 0.5,
    ) -> None:
        """Build it.

        Args:
            in_channels: of the images.
            classes: outputs.
            filters: of the first block; each next one has twice as many.
            dropout: after the last two blocks.
            dense_dropout: after the first dense layer; less after the next ones.
        """
        super().__init__()
        widths = [filters * 2**level for level in range(5)]
        blocks = []
        for level, (before, width) in enumerate(zip([in_channels, *widths], widths, strict=False)):
            blocks += [
                nn.Conv2d(before, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
                nn.Dropout(dropout if level >= 3 else 0.0),
            ]
        self.encoder = nn.Sequential(*blocks)
        # Whatever the image's size, 4 x 4 places are left for the dense layers to tell apart.
        dense: list[nn.Module] = [nn.AdaptiveAvgPool2d(4), nn.Flatten()]
        before = widths[-1] * 16
        for number, width in enumerate((512, 128, 64)):
            drop = nn.Dropout(dense_dropout * (1 - number / 4))
            dense += [nn.Linear(before, width), nn.ReLU(inplace=True), drop]
            before = width
        self.head = nn.Sequential(*dense, nn.Linear(before, classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (N, 1, 1, C)."""
        logits: torch.Tensor = self.head(self.encoder(images))
        return logits[:, None, None, :]
