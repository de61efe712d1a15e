"""DoubleU-Net: a second U-Net looks again at what the first one marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from goldfold.training.networks.vanilla_unet import double_convolution

WIDTHS = (32, 64, 128, 256)


class SqueezeExcitation(nn.Module):
    """Channels weighted by what the whole image is like.

    Source: Hu et al. 2018, Squeeze-and-Excitation Networks.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        """Take the number of channels and by how much it is reduced between."""
        super().__init__()
        inner = max(channels // reduction, 1)
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inner, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of the same shape."""
        weights: torch.Tensor = self.weigh(features)
        return features * weights


class SpatialPyramid(nn.Module):
    """Atrous spatial pyramid pooling: the same features seen at several distances.

    Source: Chen et al. 2017, Rethinking Atrous Convolution for Semantic Image Segmentation.
    """

    def __init__(self, before: int, width: int, rates: Sequence[int] = (6, 12, 18)) -> None:
        """Take the channels before and after, and the distances."""
        super().__init__()
        self.image = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(before, width, 1), nn.ReLU())
        self.near = _convolution(before, width, 1, 1)
        self.far = nn.ModuleList(_convolution(before, width, 3, rate) for rate in rates)
        self.join = _convolution(width * (len(rates) + 2), width, 1, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (N, width, H, W)."""
        whole = self.image(features).expand(-1, -1, *features.shape[2:])
        seen = [whole, self.near(features), *(layer(features) for layer in self.far)]
        joined: torch.Tensor = self.join(torch.cat(seen, dim=1))
        return joined


class DoubleUnet(nn.Module):
    """Two U-Nets; the second is fed the image times the first mask, and its mask is the result.

    The first has an encoder of segmentation_models_pytorch (VGG19 in the paper), the second one
    of its own whose features, and the first encoder's, both reach its decoder. The paper joins
    both masks by concatenation; here the second alone is trained, as one mask is submitted. Of
    several classes the first still marks one area, where the second is to look.

    Source: Jha et al. 2020, DoubleU-Net: A Deep Convolutional Neural Network for Medical Image
    Segmentation.
    """

    def __init__(
        self,
        encoder_name: str = "vgg19",
        encoder_weights: str | None = None,
        in_channels: int = 1,
        classes: int = 1,
    ) -> None:
        """Build it; the arguments are those of segmentation_models_pytorch."""
        super().__init__()
        from segmentation_models_pytorch.encoders import get_encoder

        self.encoder: Any = get_encoder(
            encoder_name, in_channels=in_channels, depth=5, weights=encoder_weights
        )
        channels = [width for width in self.encoder.out_channels if width > 0]
        # Some encoders have no features at full size; the decoder then ends with half.
        self._skips = len(channels) - 1
        self.first_pyramid = SpatialPyramid(channels[-1], 64)
        widths = _decoder_widths(self._skips)
        self.first = _Decoder(64, [[skip] for skip in channels[-2::-1]], widths)
        self.first_head = nn.Conv2d(widths[-1], 1, 1)
        own = _encoder_widths(len(channels))
        self.second_encoder = nn.ModuleList(
            nn.Sequential(double_convolution(before, width), SqueezeExcitation(width))
            for before, width in zip([in_channels, *own], own, strict=False)
        )
        self.second_pyramid = SpatialPyramid(own[-1], 64)
        both = [list(pair) for pair in zip(channels[-2::-1], own[-2::-1], strict=True)]
        self.second = _Decoder(64, both, widths)
        self.second_head = nn.Conv2d(widths[-1], classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the second mask's logits (N, classes, H, W)."""
        features = [f for f in self.encoder(images) if f.shape[1] > 0 and f.numel()]
        features = features[-(self._skips + 1) :]
        first = self.first(self.first_pyramid(features[-1]), [[skip] for skip in features[-2::-1]])
        mask = torch.sigmoid(_resized(self.first_head(first), images.shape[2:]))
        own = self._second_features(images * mask, features)
        pairs = [list(pair) for pair in zip(features[-2::-1], own[-2::-1], strict=True)]
        second = self.second(self.second_pyramid(own[-1]), pairs)
        return _resized(self.second_head(second), images.shape[2:])

    def _second_features(
        self, masked: torch.Tensor, like: Sequence[torch.Tensor]
    ) -> list[torch.Tensor]:
        """Return the second encoder's features, at the sizes of the first's."""
        outputs: list[torch.Tensor] = []
        features = masked
        for block, first in zip(self.second_encoder, like, strict=True):
            if features.shape[2:] != first.shape[2:]:
                features = F.adaptive_max_pool2d(features, first.shape[2:])
            features = block(features)
            outputs.append(features)
        return outputs


class _Decoder(nn.Module):
    """Goes up the levels; each takes the features of one or two encoders."""

    def __init__(self, before: int, skips: Sequence[Sequence[int]], widths: Sequence[int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(double_convolution(below + sum(beside), width), SqueezeExcitation(width))
            for below, beside, width in zip([before, *widths], skips, widths, strict=False)
        )

    def forward(
        self, features: torch.Tensor, skips: Sequence[Sequence[torch.Tensor]]
    ) -> torch.Tensor:
        for block, beside in zip(self.blocks, skips, strict=True):
            larger = _resized(features, beside[0].shape[2:])
            features = block(torch.cat((larger, *beside), dim=1))
        return features


def _decoder_widths(levels: int) -> list[int]:
    """Return the widths of the decoder from the bottom up: 256, 128, 64, 32, 32 ..."""
    return [max(WIDTHS[-1] >> level, WIDTHS[0]) for level in range(levels)]


def _encoder_widths(levels: int) -> list[int]:
    """Return the widths of the second encoder from the top down: 32, 64, 128, 256, 256 ..."""
    return [min(WIDTHS[0] << level, WIDTHS[-1]) for level in range(levels)]


def _resized(features: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    if tuple(features.shape[2:]) == tuple(size):
        return features
    return F.interpolate(features, size=tuple(size), mode="bilinear", align_corners=False)


def _convolution(before: int, width: int, size: int, rate: int) -> nn.Sequential:
    padding = rate if size > 1 else 0
    return nn.Sequential(
        nn.Conv2d(before, width, size, padding=padding, dilation=rate, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
