"""The pneumothorax of a phantom, and look-alikes that are not one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.synthetic.lungs import Grid, Lung, smooth_step

FloatArray = NDArray[np.float64]
FloatImage = NDArray[np.float32]

_SHALLOWEST, _DEEPEST = 0.018, 0.140  # depth in fractions of the image side
_LINE_WIDTH = 0.0022


@dataclass(frozen=True)
class Crescent:
    """Air between the chest wall and a lung that has retracted from it."""

    side: int
    """The lung: -1 = left half of the image, 1 = right half."""
    place: float
    """Position of the deepest point: distance along the chest wall, downwards from the apex."""
    reach: float
    """Half its length along the chest wall."""
    depth: float
    """Greatest distance between chest wall and lung."""
    ripple: float
    """Phase of the ripples of the lung's edge."""
    contrast: float
    """Contrast to the lung; 1 = clearly darker."""


def draw_crescents(
    rng: np.random.Generator, severity: float, parts: int, side: int
) -> tuple[Crescent, ...]:
    """Return the crescents of one image.

    Args:
        rng: source of randomness.
        severity: 0 = barely visible, 1 = large.
        parts: 1, or 2 for both lungs or two places in one lung.
        side: lung of the first crescent, -1 or 1.
    """
    depth = _SHALLOWEST + (_DEEPEST - _SHALLOWEST) * severity**0.7
    kind = rng.random()
    if kind < 0.40 and severity < 0.6:  # a cap over the apex
        place, reach = rng.uniform(0.0, 0.09), rng.uniform(0.16, 0.24)
    elif kind < 0.55 and severity < 0.6:  # along the side
        place, reach = rng.uniform(0.32, 0.46), rng.uniform(0.20, 0.28)
    else:  # from the apex down the side
        place, reach = rng.uniform(0.16, 0.30), rng.uniform(0.30, 0.45)
    reach *= 0.7 + 0.4 * severity
    ripple, contrast = rng.uniform(0, 2 * np.pi), rng.uniform(0.65, 1.1)
    first = Crescent(side, place, reach, depth, ripple, contrast)
    if parts == 1:
        return (first,)
    if rng.random() < 0.5:  # the other lung
        place, reach = rng.uniform(0.02, 0.20), rng.uniform(0.18, 0.28)
        second = replace(first, side=-side, place=place, reach=reach, depth=0.6 * depth + 0.015)
        return first, second
    top = replace(first, place=0.05, reach=0.19, depth=max(0.7 * depth, 0.04))
    return top, replace(first, place=0.50, reach=0.20, depth=max(0.6 * depth, 0.035))


@dataclass(frozen=True)
class FreeAir:
    """A crescent on a grid."""

    field: FloatImage
    """(R, R) positive exactly inside the crescent: the mask."""
    line: FloatImage
    """(R, R) 0 to 1: the thin white edge of the retracted lung."""
    contrast: float
    """Contrast of the crescent."""


def free_air(grid: Grid, crescent: Crescent, lung: Lung) -> FreeAir:
    """Return a crescent: the part of the lung closer to the chest wall than the local gap.

    It is computed on a grid of half the side, as distances are smooth.
    """
    coarse = Grid.of(grid.side // 2)
    across = (coarse.x - np.float32(lung.middle[0])) * np.float32(lung.side)
    down = coarse.y - np.float32(lung.middle[1])
    points, gaps = gap_along(crescent, lung.outline)
    edge = np.full((coarse.side, coarse.side), -1, np.float32)
    half = slice(0, coarse.side * 5 // 9) if lung.side < 0 else slice(coarse.side * 4 // 9, None)
    for (x, y), gap in zip(points.astype(np.float32), gaps.astype(np.float32), strict=True):
        reached = gap - np.sqrt((across[:, half] - x) ** 2 + (down - y) ** 2)
        np.maximum(edge[:, half], reached, out=edge[:, half])
    edge = cv2.resize(edge, (grid.side, grid.side), interpolation=cv2.INTER_LINEAR)
    field = np.minimum(edge, lung.depth)
    line = np.exp(-((edge / np.float32(_LINE_WIDTH)) ** 2)) * smooth_step(lung.depth, 0.006, 0.014)
    return FreeAir(field, np.asarray(line, dtype=np.float32), crescent.contrast)


def gap_along(crescent: Crescent, outline: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the points (K, 2) of an outline with a gap, and the gaps (K,)."""
    apex = int(outline[:, 1].argmin())
    points = np.roll(outline, -apex, axis=0)
    pieces = np.hypot(*np.diff(points, axis=0, append=points[:1]).T)
    way = np.concatenate([[0.0], np.cumsum(pieces)[:-1]])
    way = np.where(way > pieces.sum() / 2, way - pieces.sum(), way)
    off = (way - crescent.place) / crescent.reach
    wave = 1 + 0.08 * np.sin(22 * way + crescent.ripple)
    gap = crescent.depth * wave * (1 - np.minimum(off * off, 1)) ** 1.4
    return points[gap > 0], gap[gap > 0]


@dataclass(frozen=True)
class LookAlikes:
    """Fields (R, R), 0 to 1, of structures that resemble a pneumothorax but are not labelled."""

    dark: FloatImage
    """Darkening that does not end the vessels: bullae, skin folds, clear apices."""
    bare: FloatImage
    """Thinning of the vessels inside bullae."""
    line: FloatImage
    """Bright lines: walls of bullae, edges of skin folds, companion lines of ribs."""


def draw_look_alikes(rng: np.random.Generator, grid: Grid, lungs: tuple[Lung, Lung]) -> LookAlikes:
    """Return random look-alikes of one image, often none."""
    shape = (grid.side, grid.side)
    dark, bare, line = (np.zeros(shape, np.float32) for _ in range(3))
    chances = rng.random(4)
    if chances[0] < 0.12:
        for _ in range(int(rng.integers(1, 4))):
            hole, wall = _bulla(rng, grid, lungs[int(rng.integers(2))])
            dark, bare = np.maximum(dark, 0.8 * hole), np.maximum(bare, 0.6 * hole)
            line = np.maximum(line, 0.5 * wall)
    if chances[1] < 0.12:
        shade, edge = _skin_fold(rng, grid)
        dark, line = np.maximum(dark, 0.7 * shade), np.maximum(line, 0.25 * edge)
    if chances[2] < 0.12:
        lung = lungs[int(rng.integers(2))]
        apex = 1 - smooth_step(grid.y, lung.middle[1] - 0.25, lung.middle[1] - 0.05)
        dark = np.maximum(dark, 0.7 * apex * lung.air)
    if chances[3] < 0.15:
        lung = lungs[int(rng.integers(2))]
        away = (lung.depth - rng.uniform(0.012, 0.03)) / _LINE_WIDTH
        upper = 1 - smooth_step(grid.y, lung.middle[1] - 0.20, lung.middle[1] - 0.08)
        line = np.maximum(line, 0.45 * np.exp(-(away**2)) * upper)
    return LookAlikes(dark, bare, line)


def _bulla(rng: np.random.Generator, grid: Grid, lung: Lung) -> tuple[FloatImage, FloatImage]:
    """Return hole and wall of a bulla, a round air space with a thin wall inside the lung."""
    direction, share = rng.uniform(-np.pi, np.pi), rng.uniform(0.15, 0.5)
    x = lung.middle[0] + lung.side * np.cos(direction) * share * 0.15
    y = lung.middle[1] + np.sin(direction) * share * 0.30
    size = rng.uniform(0.02, 0.05)
    ratio = rng.uniform(0.75, 1.35)
    reach = np.hypot((grid.x - x) / size, (grid.y - y) / (size * ratio)).astype(np.float32)
    inside = smooth_step(lung.depth, 0.005, 0.03)
    hole = (1 - smooth_step(reach, 0.85, 1.02)) * inside
    wall = np.exp(-(((reach - 0.98) * size / _LINE_WIDTH) ** 2)) * inside
    return hole, np.asarray(wall, np.float32)


def _skin_fold(rng: np.random.Generator, grid: Grid) -> tuple[FloatImage, FloatImage]:
    """Return shade and edge of a skin fold, a long edge across lung and chest wall."""
    side = rng.choice((-1, 1))
    start = 0.5 + side * rng.uniform(0.18, 0.32)
    slope, bend = side * rng.uniform(-0.1, 0.35), rng.normal(0, 0.15)
    down = grid.y - rng.uniform(0.2, 0.35)
    off = (grid.x - (start + slope * down + bend * down**2)) * side
    span = smooth_step(down, 0.0, 0.08) * (1 - smooth_step(down, rng.uniform(0.3, 0.45), 0.55))
    shade = smooth_step(off, -0.003, 0.003) * (1 - smooth_step(off, 0.01, 0.09)) * span
    edge = np.exp(-((off / (2 * _LINE_WIDTH)) ** 2)) * span
    return np.asarray(shade, np.float32), np.asarray(edge, np.float32)
