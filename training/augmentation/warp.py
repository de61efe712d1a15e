"""Flip, shift, scale, rotation and distortion as one sampling map.

Every pixel of the result asks one place of the original, so image and mask are interpolated
once, whatever the number of transforms:

    place(u) = centre + F A (u + e(u) - centre)     F flip, A shift-scale-rotate, e distortion

As seen in the result the image is flipped, moved, then distorted: elastically (a coarse grid of
random displacements, smoothly interpolated), by a grid (the spaces between lines widen and
narrow), or optically (a lens: places move towards the centre, or away, with the cube of their
distance).

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

    grid: NDArray[np.float32] | None = None
    """(2, K + 1) displacements in x and y of evenly spaced lines, as fractions of the size."""
    optical: float = 0.0
    """Strength of a lens: above 0 the middle of a side shows what lies beyond it (barrel)."""

    @property
    def is_identity(self) -> bool:
        """Return whether the transform changes nothing."""
        moved = self.flip or self.shift != (0.0, 0.0) or self.scale != 1.0 or self.rotation != 0.0
        return not moved and self.elastic is None and self.grid is None and self.optical == 0.0


@dataclass(frozen=True)
class Window:
    """The part of a result that is wanted, in its pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        rows = slice(self.top, self.top + self.height)
        return rows, slice(self.left, self.left + self.width)


def sampling_map(
    warp: Warp, source: tuple[int, int], target: tuple[int, int], window: Window | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return for each pixel of the result the x and the y, in pixels, where it looks.

    Both are (H, W) float32 of the window's size. A target of another size than the source shows
    the whole picture larger or smaller; pixels are taken as areas, so its edges coincide.

    Args:
        warp: the transform.
        source: (height, width) of the image to sample.
        target: (height, width) of the whole result.
        window: the part of it that is wanted; all unless given.
    """
    rows, columns = (window or Window(0, 0, *target)).slices
    across, down = (
        axis[part] for axis, part in zip(result_axes(warp, target), (columns, rows), strict=True)
    )
    offsets = _offsets(warp, target, rows, columns)
    matrix = fractions_to_source(warp, source, target)
    maps = []
    for axis, length in enumerate((source[1], source[0])):
        of_column = (matrix[axis, 0] * across).astype(np.float32)
        of_row = (matrix[axis, 1] * down + (length - 1) / 2).astype(np.float32)
        places: NDArray[np.float32] = np.add.outer(of_row, of_column)
        if offsets is not None:
            places += matrix[axis, 0].astype(np.float32) * offsets[0]
            places += matrix[axis, 1].astype(np.float32) * offsets[1]
        elif warp.elastic is not None:
            knots = np.tensordot(matrix[axis], warp.elastic, axes=1).astype(np.float32)
            size = (target[1], target[0])
            places += cv2.resize(knots, size, interpolation=cv2.INTER_CUBIC)[rows, columns]
        maps.append(places)
    return maps[0], maps[1]


def result_axes(
    warp: Warp, target: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the x of every column (W,) and the y of every row (H,) of the result.

    They are relative to the moved centre, as fractions of the result's size, lines of a distorted
    grid already displaced: that distortion concerns each axis by itself.
    """
    axes = []
    for number, length in enumerate((target[1], target[0])):
        place = (np.arange(length) + 0.5) / length
        if warp.grid is not None:
            lines = np.linspace(0, 1, warp.grid.shape[1])
            place = place + np.interp(place, lines, warp.grid[number])
        axes.append(place - 0.5 - warp.shift[number])
    return axes[0], axes[1]


def _offsets(
    warp: Warp, target: tuple[int, int], rows: slice, columns: slice
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Return the displacements in x and y of a lens, (H, W) float32, None without one."""
    if warp.optical == 0.0:
        return None
    x = ((np.arange(target[1])[columns] + 0.5) / target[1] - 0.5).astype(np.float32)
    y = ((np.arange(target[0])[rows] + 0.5) / target[0] - 0.5).astype(np.float32)
    # At the middle of a side the square of the distance is a quarter.
    pull = np.float32(4 * warp.optical) * np.add.outer(y * y, x * x)
    return pull * x, pull * y[:, None]


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
    *,
    window: Window | None = None,
    soft: bool = False,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return image and mask seen through one map.

    Args:
        image: (H, W) or (H, W, C) uint8.
        mask: (H, W) uint8, 0 or 1. A pixel of the result belongs to it where the bilinear mean
            of the four it falls between is at least one half.
        warp: the transform.
        target: (height, width) of the whole result; the image's own unless given.
        window: the part of the result that is wanted; all unless given.
        soft: the mask is coverage, 0 to 255, before and after.
    """
    source = image.shape[0], image.shape[1]
    map_x, map_y = sampling_map(warp, source, target or source, window)
    warped = apply_map(image, map_x, map_y)
    if not mask.any():
        return warped, np.zeros(map_x.shape, dtype=np.uint8)
    if soft:
        return warped, apply_map(mask, map_x, map_y)
    # 0 and 255 give the interpolation eight bits to round in.
    coverage = apply_map(mask * np.uint8(255), map_x, map_y)
    return warped, (coverage > 127).astype(np.uint8)


def fractions_to_source(
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
