"""Crops a CT slice to the head."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_DARK = 12  # highest level of air and its noise
_MARGIN = 0.02  # margin around the head, as a share of its larger side
_SMALLEST = 0.02  # share of the image; a smaller part is not a head, and nothing is cropped


def crop_to_head(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the square around the largest bright part of an image, (S, S) or (S, S, C) uint8.

    Thin bright lines, such as the table below a head, are ignored. Where the square extends beyond
    the image it is black; an image without a large bright part is only padded to a square.

    Args:
        pixels: (H, W) or (H, W, C) uint8, 0 is black.
    """
    height, width = pixels.shape[:2]
    bright = (pixels if pixels.ndim == 2 else pixels.max(axis=2)) > _DARK
    side = max(3, round(0.02 * max(height, width)) | 1)
    opened = cv2.morphologyEx(
        bright.astype(np.uint8), cv2.MORPH_OPEN, np.ones((side, side), np.uint8)
    )
    count, _, statistics, _ = cv2.connectedComponentsWithStats(opened)
    left, top, across, down = 0, 0, width, height
    if count > 1:
        largest = 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
        if statistics[largest, cv2.CC_STAT_AREA] >= _SMALLEST * height * width:
            left, top, across, down = (int(value) for value in statistics[largest, :4])
    reach = max(across, down) + 2 * round(_MARGIN * max(across, down))
    top += (down - reach) // 2
    left += (across - reach) // 2
    square = np.zeros((reach, reach, *pixels.shape[2:]), np.uint8)
    rows = slice(max(top, 0), min(top + reach, height))
    columns = slice(max(left, 0), min(left + reach, width))
    square[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = pixels[
        rows, columns
    ]
    return square
