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
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_BORDER = cv2.BORDER_REFLECT_101
Sampler = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]
"""An image and OpenCV's interpolation -> what a warp shows of it."""


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
    vertical_flip: bool = False
    """Top and bottom exchanged, before all else."""

    @property
    def is_affine(self) -> bool:
        """Return whether straight lines stay straight: nothing is distorted."""
        return self.elastic is None and self.grid is None and self.optical == 0.0

    @property
    def only_flips(self) -> bool:
        """Return whether nothing but flips is left."""
        moved = self.shift != (0.0, 0.0) or self.scale != 1.0 or self.rotation != 0.0
        return not moved and self.is_affine

    @property
    def is_identity(self) -> bool:
        """Return whether the transform changes nothing."""
        return not self.flip and not self.vertical_flip and self.only_flips


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
    matrix = fractions_to_source(warp, source, target)
    down_terms, across_terms = distortion_terms(warp, target, rows, columns)
    maps = []
    for axis, length in enumerate((source[1], source[0])):
        # All of it is one product of a narrow matrix of rows and a low one of columns.
        ones = np.ones((down.size, 1))
        of_rows = [ones, (matrix[axis, 1] * down + (length - 1) / 2)[:, None]]
        of_columns = [(matrix[axis, 0] * across)[None, :], np.ones((1, across.size))]
        of_rows += [
            weights @ (matrix[axis, 0] * x + matrix[axis, 1] * y) for weights, x, y in down_terms
        ]
        of_columns += across_terms
        left = np.concatenate(of_rows, axis=1, dtype=np.float32)
        right = np.concatenate(of_columns, axis=0, dtype=np.float32)
        places: NDArray[np.float32] = left @ right
        maps.append(places)
    return maps[0], maps[1]


def distortion_terms(
    warp: Warp, target: tuple[int, int], rows: slice, columns: slice
) -> tuple[list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]], list[NDArray[Any]]]:
    """Return the displacements of an elastic or optical distortion as products.

    The displacement in x is the sum over terms of (weights @ x) @ across, likewise in y: each
    term is (weights (H, n), x (n, m), y (n, m)), and its `across` is (m, W).
    """
    height, width = target
    if warp.elastic is not None:
        knots = warp.elastic.shape[1]
        vertical = _knot_weights(knots, height)[rows]
        horizontal = _knot_weights(knots, width)[columns].T
        return [(vertical, warp.elastic[0], warp.elastic[1])], [horizontal]
    if warp.optical == 0.0:
        return [], []
    # A lens pulls by 4 k (x^2 + y^2) times (x, y): at the middle of a side the sum is a quarter.
    x = ((np.arange(width)[columns] + 0.5) / width - 0.5)[None, :]
    y = ((np.arange(height)[rows] + 0.5) / height - 0.5)[:, None]
    powers = np.concatenate([np.ones_like(y), y, y**2, y**3], axis=1)
    strength = 4 * warp.optical
    in_x, in_y = np.zeros((4, 4)), np.zeros((4, 4))
    in_x[0, 3], in_x[2, 1] = strength, strength  # x^3 + y^2 x
    in_y[1, 2], in_y[3, 0] = strength, strength  # y x^2 + y^3
    across = np.concatenate([np.ones_like(x), x, x**2, x**3])
    return [(powers, in_x, in_y)], [across]


@lru_cache(maxsize=32)
def _knot_weights(knots: int, length: int) -> NDArray[np.float32]:
    """Return how much each knot counts at each place along an axis, (length, knots), cubic."""
    plain = np.eye(knots, dtype=np.float32)
    weights: NDArray[np.float32] = cv2.resize(plain, (knots, length), interpolation=cv2.INTER_CUBIC)
    return weights


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


def apply_map(
    image: NDArray[np.uint8],
    map_x: NDArray[np.float32],
    map_y: NDArray[np.float32],
    interpolation: int = cv2.INTER_LINEAR,
) -> NDArray[np.uint8]:
    """Return the image (H, W) or (H, W, C) sampled at the map, bilinearly, mirrored outside."""
    warped: NDArray[np.uint8] = cv2.remap(
        image, map_x, map_y, interpolation=_of_maps(interpolation), borderMode=_BORDER
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
    classes: bool = False,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return image and mask seen through one map; of several masks, each.

    Args:
        image: (H, W) or (H, W, C) uint8.
        mask: (H, W) or (C, H, W) uint8, 0 or 1. A pixel of the result belongs to it where the
            bilinear mean of the four it falls between is at least one half.
        warp: the transform.
        target: (height, width) of the whole result; the image's own unless given.
        window: the part of the result that is wanted; all unless given.
        soft: the mask is coverage, 0 to 255, before and after.
        classes: the mask is (H, W) class numbers, taken from the nearest pixel.
    """
    source = image.shape[0], image.shape[1]
    sample = _sampler(warp, source, target or source, window or Window(0, 0, *(target or source)))
    warped = sample(image, cv2.INTER_LINEAR)
    if classes:
        return warped, sample(mask, cv2.INTER_NEAREST_EXACT)
    if mask.ndim == 2:
        return warped, _warped_mask(sample, mask, warped.shape[:2], soft)
    masks = [_warped_mask(sample, class_mask, warped.shape[:2], soft) for class_mask in mask]
    return warped, np.stack(masks)


def _of_maps(interpolation: int) -> int:
    """Return the interpolation as OpenCV's maps know it: their nearest pixel is exact."""
    return cv2.INTER_NEAREST if interpolation == cv2.INTER_NEAREST_EXACT else interpolation


def _warped_mask(
    sample: Sampler,
    mask: NDArray[np.uint8],
    shape: tuple[int, ...],
    soft: bool,
) -> NDArray[np.uint8]:
    """Return one mask seen through the map; an empty one costs nothing."""
    if not mask.any():
        return np.zeros(shape, dtype=np.uint8)
    if soft:
        return sample(mask, cv2.INTER_LINEAR)
    # 0 and 255 give the interpolation eight bits to round in.
    coverage = sample(mask * np.uint8(255), cv2.INTER_LINEAR)
    return (coverage > 127).astype(np.uint8)


def _sampler(
    warp: Warp, source: tuple[int, int], target: tuple[int, int], window: Window
) -> Sampler:
    """Return how an image is seen through the map; straight lines need no map in memory."""
    if warp.only_flips and target[0] <= source[0] and target[1] <= source[1]:
        return lambda image, how: _resized(image, target, window, warp, how)
    if not warp.is_affine:
        map_x, map_y = sampling_map(warp, source, target, window)
        return lambda image, how: apply_map(image, map_x, map_y, how)
    matrix, size = affine_matrix(warp, source, target, window), (window.width, window.height)

    def sample(image: NDArray[np.uint8], how: int) -> NDArray[np.uint8]:
        flags = _of_maps(how) | cv2.WARP_INVERSE_MAP
        seen: NDArray[np.uint8] = cv2.warpAffine(
            image, matrix, size, flags=flags, borderMode=_BORDER
        )
        return seen

    return sample


def _resized(
    image: NDArray[np.uint8],
    target: tuple[int, int],
    window: Window,
    warp: Warp,
    interpolation: int = cv2.INTER_LINEAR,
) -> NDArray[np.uint8]:
    """Return the window of a smaller image; OpenCV's linear resize samples where the map does."""
    rows, columns = window.slices
    smaller = cv2.resize(image, (target[1], target[0]), interpolation=interpolation)
    turned = smaller[:: -1 if warp.vertical_flip else 1, :: -1 if warp.flip else 1]
    return np.ascontiguousarray(turned[rows, columns])


def affine_matrix(
    warp: Warp, source: tuple[int, int], target: tuple[int, int], window: Window
) -> NDArray[np.float64]:
    """Return (2, 3): x and y in the source from column, row and 1 in the window.

    It says of a warp without distortion what `sampling_map` says pixel by pixel.
    """
    matrix = fractions_to_source(warp, source, target)
    lengths = np.array([target[1], target[0]], dtype=np.float64)
    corner = np.array([window.left, window.top], dtype=np.float64)
    first = (corner + 0.5) / lengths - 0.5 - np.array(warp.shift)
    middle = np.array([(source[1] - 1) / 2, (source[0] - 1) / 2])
    linear = matrix / lengths
    whole: NDArray[np.float64] = np.column_stack([linear, matrix @ first + middle])
    return whole


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
    mirror = np.diag([-1.0 if warp.flip else 1.0, -1.0 if warp.vertical_flip else 1.0])
    matrix: NDArray[np.float64] = mirror @ enlarge @ turn @ np.diag([target[1], target[0]])
    return matrix / warp.scale
