"""From the network's logits to the 8-bit probability maps that everything later is made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def resize_probability(probability: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return probabilities at the original size, float32 (N, height, width).

    Args:
        probability: float32 (N, 1, H, W) in 0..1.
        height: original height in pixels.
        width: original width in pixels.
    """
    if probability.shape[-2:] == (height, width):
        return probability[:, 0]
    # Antialiasing matters only when the network saw a larger image than the original.
    shrinking = height < probability.shape[-2] or width < probability.shape[-1]
    resized = F.interpolate(
        probability, (height, width), mode="bilinear", align_corners=False, antialias=shrinking
    )
    return resized[:, 0]


def quantise(probability: torch.Tensor) -> torch.Tensor:
    """Return levels q = min(floor(256 p), 255), uint8, same shape.

    >>> quantise(torch.tensor([0.0, 0.5, 1.0])).tolist()
    [0, 128, 255]
    """
    return probability.mul(256.0).floor().clamp(0, 255).to(torch.uint8)
