"""The lungs of a phantom: their outlines in polar coordinates, and their vessels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.synthetic.anatomy import Anatomy, lung_outline

FloatArray = NDArray[np.float64]
FloatImage = NDArray[np.float32]

_SUBPIXEL_BITS = 4
_ANGLES = 8192  # entries of the tables over directions
_SPAN = 60  # entries over which the slope of the outline is measured
_STEP = 0.027  # length of one segment of a vessel
_POINTS = 5  # segments per vessel
_ORDERS = 5  # orders of branching
_TRUNK, _THINNING = 0.0115, 0.64  # width of the first order, and the factor for each further one


@dataclass(frozen=True)
class Grid:
    """Pixel centres of a square rendering, in fractions of its side."""

    side: int
    x: FloatImage
    """(1, side)"""
    y: FloatImage
    """(side, 1)"""

    @classmethod
    def of(cls, side: int) -> Grid:
        """Return the grid with `side` x `side` pixels."""
        centres = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
        return cls(side, centres[None, :], centres[:, None])


@dataclass(frozen=True)
class Lung:
    """One lung: its outline, and the distance of each pixel from it."""

    side: int
    """-1 = left half of the image, 1 = right half."""
    middle: tuple[float, float]
    """x and y of the origin, a point from which the entire outline is visible."""
    outline: FloatArray
    """(K, 2) closed outline relative to the origin: (outwards from the midline, down)."""
    depth: FloatImage
    """(R, R) distance from the outline, positive inside."""
    air: FloatImage
    """(R, R) 0 to 1: the share of the beam's path through this pixel that is lung."""


def smooth_step(value: FloatImage, start: float, end: float) -> FloatImage:
    """Return 0 below `start`, 1 above `end`, and a smooth transition between them."""
    t = np.clip((value - np.float32(start)) / np.float32(end - start), 0, 1)
    result: FloatImage = t * t * (3 - 2 * t)
    return result


def lung(grid: Grid, anatomy: Anatomy, side: int, breath: float) -> Lung:
    """Return one lung of a patient on a grid."""
    outline = lung_outline(anatomy, side, breath)
    origin = np.array([0.60 * outline[:, 0].max(), 0.46 * np.ptp(outline[:, 1])])
    origin[1] += outline[:, 1].min()
    midline = 0.5 + anatomy.spine
    middle = (float(midline + side * origin[0]), float(origin[1]))
    depth = _depth(grid, outline - origin, side, middle)
    air = smooth_step(depth, -0.004, 0.014) * (0.70 + 0.30 * smooth_step(depth, 0.0, 0.09))
    return Lung(side, middle, outline - origin, depth, air)


def _depth(grid: Grid, outline: FloatArray, side: int, middle: tuple[float, float]) -> FloatImage:
    """Return the distance (R, R) from an outline: along the ray, times the cosine to the normal."""
    angle = (np.arange(_ANGLES) + 0.5) * (2 * np.pi / _ANGLES) - np.pi
    known = np.arctan2(outline[:, 1], outline[:, 0])
    radius = np.interp(angle, known, np.hypot(outline[:, 0], outline[:, 1]), period=2 * np.pi)
    slope = (np.roll(radius, -_SPAN) - np.roll(radius, _SPAN)) / (2 * _SPAN * 2 * np.pi / _ANGLES)
    cosine = radius / np.hypot(radius, slope)
    across = (grid.x - np.float32(middle[0])) * np.float32(side)
    down = grid.y - np.float32(middle[1])
    turn = (np.arctan2(down, across) + np.float32(np.pi)) * np.float32(_ANGLES / (2 * np.pi))
    index = np.minimum(turn.astype(np.intp), _ANGLES - 1)
    away = radius.astype(np.float32).take(index) - np.hypot(across, down)
    depth: FloatImage = away * cosine.astype(np.float32).take(index)
    return depth


def vessels(grid: Grid, anatomy: Anatomy, both: tuple[Lung, Lung]) -> FloatImage:
    """Return the vessel shadows, (R, R) from 0 to 1: trees that branch outwards from each hilum."""
    rng = np.random.default_rng(anatomy.vessel_seed)
    trees = []
    for lung_side in both:
        hilum = np.array([0.5 + anatomy.spine + lung_side.side * 0.075, lung_side.middle[1] + 0.02])
        trees.append([hilum + tree * (lung_side.side, 1) for tree in _grow(rng)])
    canvas = np.zeros((grid.side, grid.side), np.uint8)
    for order in reversed(range(_ORDERS)):  # thick ones last, over thin ones
        width = _TRUNK * _THINNING**order
        points = np.concatenate([tree[order] for tree in trees]) * grid.side - 0.5
        curves = list(np.rint(points * (1 << _SUBPIXEL_BITS)).astype(np.int32))
        level, thickness = min(255, round(70 + 17_000 * width)), max(1, round(width * grid.side))
        cv2.polylines(canvas, curves, False, level, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    blurred = cv2.GaussianBlur(canvas, (0, 0), max(0.5, grid.side * 0.0016))
    return np.asarray(blurred, dtype=np.float32) / np.float32(255)


def _grow(rng: np.random.Generator) -> list[FloatArray]:
    """Return a vessel tree relative to its root: an array (vessels, points, 2) per branching order.

    The first coordinate runs outwards from the midline, the second down.
    """
    heading = np.linspace(-1.75, 1.35, 11) + rng.normal(0, 0.12, 11)
    start = np.zeros((len(heading), 2))
    tree = []
    for _ in range(_ORDERS):
        turns = np.cumsum(rng.normal(0, 0.13, (len(heading), _POINTS)), axis=1)
        heading = heading[:, None] + turns
        steps = rng.uniform(0.6, 1.2, len(heading))[:, None, None] * _STEP
        path = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=2) * steps, axis=1)
        path = np.concatenate([start[:, None], start[:, None] + path], axis=1)
        tree.append(path)
        fork = rng.uniform(0.25, 0.55, len(path))
        twig = rng.choice((-1, 1), len(path)) * rng.uniform(0.6, 1.0, len(path))
        start = np.concatenate([path[:, -1], path[:, -1], path[:, 2]])
        last = heading[:, -1]
        heading = np.concatenate([last + fork, last - fork, heading[:, 2] + twig])
    return tree
