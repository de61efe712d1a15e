"""Images and masks at another size."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

_Value = TypeVar("_Value", np.uint8, np.float32)


def resize_image(image: NDArray[_Value], height: int, width: int) -> NDArray[_Value]:
    """Return the image at (height, width), C-contiguous, of the same dtype and channels.

    A side that shrinks is averaged over areas (no aliasing), one that grows is interpolated
    linearly. Pixels are taken as areas, so the picture's edges stay where they are.

    Args:
        image: (H, W) or (H, W, C), uint8 or float32.
        height: rows of the result.
        width: columns of the result.
    """
    shrunk = min(height, image.shape[0]), min(width, image.shape[1])
    resized = np.ascontiguousarray(image)
    for shape, method in ((shrunk, cv2.INTER_AREA), ((height, width), cv2.INTER_LINEAR)):
        if resized.shape[:2] != shape:
            resized = cv2.resize(resized, shape[::-1], interpolation=method)
    return resized


def resize_class_map(class_map: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return the class map (H, W) at (height, width): of each pixel the class that covers most.

    Of classes that cover as much the one with the lower number counts. A class too small or too
    thin to cover most of any pixel vanishes.
    """
    if class_map.shape == (height, width):
        return np.ascontiguousarray(class_map)
    result = np.zeros((height, width), np.uint8)
    most = np.zeros((height, width), np.float32)
    for number in np.unique(class_map).tolist():
        coverage = resize_image((class_map == number).astype(np.float32), height, width)
        more = coverage > most
        result[more], most[more] = number, coverage[more]
    return result


def resize_ignored(mask: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return the 0/1 mask of ignored pixels (H, W) at (height, width): all that touch one."""
    return (resize_image(mask.astype(np.float32), height, width) > 0).astype(np.uint8)


def resize_mask(mask: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return the 0/1 mask (H, W) at (height, width): pixels of which at least half is covered.

    A mask too small or too thin for that keeps its most covered pixels instead of vanishing.
    """
    coverage = resize_image(mask.astype(np.float32), height, width)
    level = min(0.5, float(coverage.max()))
    if level == 0:
        return np.zeros((height, width), dtype=np.uint8)
    return (coverage >= level).astype(np.uint8)
