"""From cached bytes to what the network takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.training.host_copy import to_device

Pixels = NDArray[np.uint8] | torch.Tensor
"""Images of the cache, uint8 (N, H, W) or (N, H, W, C), here or in pinned memory."""

# Mean and spread of a typical gray image in 0..1; the first BatchNorm takes care of the rest.
# With pretrained weights they are close to the mean of the ImageNet constants.
MEAN = 0.449
SPREAD = 0.226


def join_channels(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return images as the channels of one, those of the first image first.

    Args:
        images: uint8 (H, W) each, or (H, W, 3) each.

    Returns:
        One image as it is, several as uint8 (H, W, C).
    """
    if len(images) == 1:
        return images[0]
    return np.stack(images, -1) if images[0].ndim == 2 else np.concatenate(images, -1)


def network_input(
    pixels: Pixels, device: torch.device, *, channels_last: bool = True
) -> torch.Tensor:
    """Return normalised images, float32 (N, C, H, W) on the device.

    Args:
        pixels: uint8 (N, H, W) for one channel or (N, H, W, C).
        device: where the result is; the bytes are moved first and normalised there.
        channels_last: layout in memory that the fast kernels like.
    """
    images = torch.as_tensor(np.asarray(pixels) if isinstance(pixels, np.ndarray) else pixels)
    images = to_device(images, device)
    images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    normalised = images.to(torch.float32).div_(255.0).sub_(MEAN).div_(SPREAD)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return normalised.contiguous(memory_format=layout)
