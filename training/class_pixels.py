"""Pixels of predicted class maps, counted on the device that they are on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.competitions.class_maps import IGNORED_NUMBER
from goldfold.training.host_copy import to_device
from goldfold.training.probability import as_levels, resize_probability, resized_parts


@torch.inference_mode()
def device_class_pixels(
    probability: torch.Tensor,
    sizes: Sequence[tuple[int, int]],
    true: Sequence[NDArray[np.uint8]],
) -> torch.Tensor:
    """Return pixels in both, predicted and true, by class, int64 (N, 3, C) on the device.

    The most likely class of the 8-bit levels counts, the lower number among equal ones, where a
    true class is known: the numbers of `pixels_of_map`. Nothing waits for the device.

    Args:
        probability: float32 (N, C, h, w) in 0..1, on the device.
        sizes: original (height, width) of each image.
        true: N class maps, uint8 (H, W), 255 where there is none.
    """
    return torch.cat(
        [
            _count(probability[part], size, true[part])
            for part, size in resized_parts(probability, sizes)
        ]
    )


def _count(
    probability: torch.Tensor, size: tuple[int, int], true: Sequence[NDArray[np.uint8]]
) -> torch.Tensor:
    """Return the counts of images of one size."""
    count, classes = probability.shape[:2]
    numbers = torch.arange(classes, device=probability.device).view(1, classes, 1, 1)
    levels = as_levels(resize_probability(probability, *size)).view(count, classes, *size)
    # Level and class in one number, so that a maximum tells which of equal levels comes first.
    decided = 255 - (levels.int() * 256 + (255 - numbers).int()).amax(dim=1, keepdim=True) % 256
    truth = to_device(torch.from_numpy(np.stack(true)), probability.device).unsqueeze(1)
    is_true = truth == numbers
    is_predicted = (decided == numbers).logical_and_(truth != IGNORED_NUMBER)
    rows = (is_true & is_predicted, is_predicted, is_true)
    return torch.stack([row.sum(dim=(2, 3)) for row in rows], dim=1)
