"""Flip, shift, scale, rotation and elastic deformation as one sampling map.

Every pixel of the result asks one place of the original, so image and mask are interpolated
once, whatever the number of transforms:

    place(u) = centre + F A (u + e(u) - centre)     F flip, A shift-scale-rotate, e elastic

What lies beyond the border is mirrored, in the image and in the mask alike. A constant border
would draw straight black edges that no test image has, and an image mirrored beside an
unmirrored mask would show findings that are labelled as none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_BORDER = cv2.BORDER_REFLECT_101


@dataclass(frozen=True)
class Warp:
    """A geometric transform, of what the eye sees in the result; the default changes nothing."""

    flip: bool = False
    """Left and right exchanged, before all else."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Move to the right and down, as fractions of width and height."""
    scale: float = 1.0
    """Enlargement about the centre; above 1 shows less."""
    rotation: float = 0.0
    """Degrees, clockwise as seen on the screen."""
    elastic: NDArray[np.float32] | None = None
    """(2, K, K) displacements in x and y of a coarse grid of knots, as fractions of the size."""

    @property
    def is_identity(self) -> bool:
        """Return whether the transform changes nothing."""
        moved = self.flip or self.shift != (0.0, 0.0) or self.scale != 1.0 or self.rotation != 0.0
        return not moved and self.elastic is None


def sampling_map(
    warp: Warp, source: tuple[int, int], target: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return for each pixel of the result the x and the y, in pixels, where it looks.

    Both are (H, W) float32 of the target's size. A target of another size than the source shows
    the whole picture larger or smaller; pixels are taken as areas, so its edges coincide.

    Args:
        warp: the transform.
        source: (height, width) of the image to sample.
        target: (height, width) of the result.
    """
    height, width = target
    # Pixels of the result relative to its centre, as fractions of its size.
    across = (np.arange(width) + 0.5) / width - 0.5 - warp.shift[0]
    down = (np.arange(height) + 0.5) / height - 0.5 - warp.shift[1]
    matrix = _fractions_to_source(warp, source, target)
    maps = []
    for axis, length in enumerate((source[1], source[0])):
        of_column = (matrix[axis, 0] * across).astype(np.float32)
        of_row = (matrix[axis, 1] * down + (length - 1) / 2).astype(np.float32)
        places: NDArray[np.float32] = np.add.outer(of_row, of_column)
        if warp.elastic is not None:
            knots = np.tensordot(matrix[axis], warp.elastic, axes=1).astype(np.float32)
            places += cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)
        maps.append(places)
    return maps[0], maps[1]


def apply_map(
    image: NDArray[np.uint8], map_x: NDArray[np.float32], map_y: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Return the image (H, W) or (H, W, C) sampled at the map, bilinearly, mirrored outside."""
    warped: NDArray[np.uint8] = cv2.remap(
        image, map_x, map_y, interpolation=cv2.INTER_LINEAR, borderMode=_BORDER
    )
    return warped


def warp_image_and_mask(
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    warp: Warp,
    target: tuple[int, int] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return image and mask seen through one map.

    Args:
        image: (H, W) or (H, W, C) uint8.
        mask: (H, W) uint8, 0 or 1. A pixel of the result belongs to it where the bilinear mean
            of the four it falls between is at least one half.
        warp: the transform.
        target: (height, width) of the result; the image's own unless given.
    """
    source = image.shape[0], image.shape[1]
    map_x, map_y = sampling_map(warp, source, target or source)
    warped = apply_map(image, map_x, map_y)
    if not mask.any():
        return warped, np.zeros(map_x.shape, dtype=np.uint8)
    # 0 and 255 give the interpolation eight bits to round in.
    coverage = apply_map(mask * np.uint8(255), map_x, map_y)
    return warped, (coverage > 127).astype(np.uint8)


def _fractions_to_source(
    warp: Warp, source: tuple[int, int], target: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the (2, 2) matrix from fractions of the result to pixels of the source.

    The rotation is rigid in the pixels of the result, also where it is not square; enlarging
    the result's pixels to the source's comes last.
    """
    angle = math.radians(warp.rotation)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    enlarge = np.diag([source[1] / target[1], source[0] / target[0]])
    mirror = np.diag([-1.0 if warp.flip else 1.0, 1.0])
    matrix: NDArray[np.float64] = mirror @ enlarge @ turn @ np.diag([target[1], target[0]])
    return matrix / warp.scale
