"""Synthetic MRI slices of an abdomen with stomach and bowels.

Lengths are fractions of the image's sides; x runs right, y down, z from the chest to the feet.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

ByteImage = NDArray[np.uint8]
FloatImage = NDArray[np.float32]

CLASSES = ("large_bowel", "small_bowel", "stomach")
_LOOPS = 9


@dataclass(frozen=True)
class Build:
    """The anatomy of one patient on one day."""

    wide: float
    """Half the width of the body."""
    high: float
    """Half the height of the body."""
    stomach: tuple[float, float, float]
    """Centre of the stomach: x, y, z."""
    colon: float
    """Distance of the colon from the midline."""
    loops: tuple[tuple[float, float, float], ...]
    """Centre and radius of each loop of the small bowel: x, y, radius."""
    peak: float
    """Level of the brightest tissue; the file could hold up to 65,535."""


def draw_build(rng: np.random.Generator) -> Build:
    """Return a random patient."""
    turns = np.linspace(0, 2 * np.pi, _LOOPS, endpoint=False)
    loops = tuple(
        (
            float(0.5 + 0.11 * np.cos(turn) * rng.uniform(0.3, 1.1)),
            float(0.50 + 0.09 * np.sin(turn) * rng.uniform(0.3, 1.1)),
            float(rng.uniform(0.030, 0.048)),
        )
        for turn in turns
    )
    return Build(
        wide=float(rng.uniform(0.38, 0.44)),
        high=float(rng.uniform(0.27, 0.32)),
        stomach=(float(rng.uniform(0.61, 0.67)), float(rng.uniform(0.40, 0.45)), 0.32),
        colon=float(rng.uniform(0.22, 0.26)),
        loops=loops,
        peak=float(rng.uniform(600, 4000)),
    )


def on_a_day(build: Build, rng: np.random.Generator) -> Build:
    """Return the patient on another day: organs have moved, and scanner settings have changed."""
    x, y, z = build.stomach
    moved = (x + rng.normal(0, 0.01), y + rng.normal(0, 0.01), z + rng.normal(0, 0.03))
    loops = tuple(
        (a + float(rng.normal(0, 0.012)), b + float(rng.normal(0, 0.012)), radius)
        for a, b, radius in build.loops
    )
    peak = build.peak * float(rng.uniform(0.8, 1.25))
    stomach = (float(moved[0]), float(moved[1]), float(moved[2]))
    return Build(build.wide, build.high, stomach, build.colon, loops, peak)


def draw_abdomen(
    build: Build, z: float, height: int, width: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint16], list[ByteImage]]:
    """Return a slice and the mask of each of `CLASSES`; the masks do not overlap.

    Args:
        build: the patient on that day.
        z: position along the body; below 0 and above 1 none of the three organs is visible.
        height: in pixels.
        width: in pixels.
        rng: decides noise and texture.

    Returns:
        The slice (H, W) uint16, and three masks (H, W) of 0 and 1.
    """
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x, y = (columns + 0.5) / width, (rows + 0.5) / height
    texture = _smooth(rng.standard_normal((height, width), dtype=np.float32), max(1, width * 0.012))
    level = _body(x, y, build, z) + 0.03 * texture
    stomach = _stomach(x, y, build, z, texture)
    large = _large_bowel(x, y, build, z, texture) & ~stomach
    small, dark = _small_bowel(x, y, build, z)
    small &= ~stomach & ~large
    level = np.where(stomach, 0.66 + 0.10 * texture, level)
    gas = stomach & (y < build.stomach[1] - 0.035)
    level = np.where(gas, 0.10, level)
    level = np.where(large, 0.20 + 0.09 * texture, level)
    level = np.where(small, 0.86 - 0.35 * dark + 0.04 * texture, level)
    soft = cv2.GaussianBlur(np.asarray(level, np.float32), (0, 0), max(0.4, width * 0.0025))
    coil = 1 + 0.25 * (0.5 - np.hypot(x - 0.5, y - 0.5))  # brighter in the middle
    noise = 0.015 * np.abs(rng.standard_normal((height, width), dtype=np.float32))
    values = np.clip(soft * coil + noise, 0, None) * build.peak
    masks = [np.asarray(mask, np.uint8) for mask in (large, small, stomach)]
    return np.asarray(np.rint(values), dtype=np.uint16), masks


def _smooth(noise: FloatImage, sigma: float) -> FloatImage:
    blurred = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.asarray(blurred / max(float(blurred.std()), 1e-6), dtype=np.float32)


def _reach(
    x: FloatImage, y: FloatImage, at: tuple[float, float], wide: float, high: float
) -> FloatImage:
    """Return the distance from the centre of an ellipse, 1 on its edge."""
    return np.asarray(np.hypot((x - at[0]) / wide, (y - at[1]) / high), dtype=np.float32)


def _swell(z: float, middle: float, half: float) -> float:
    """Return the relative width of an organ at z: 1 at its centre, 0 beyond its ends."""
    return float(np.sqrt(max(0.0, 1 - ((z - middle) / half) ** 2)))


def _body(x: FloatImage, y: FloatImage, build: Build, z: float) -> FloatImage:
    """Return the levels of fat, muscle, spine, kidneys and, towards the chest, the liver."""
    edge = _reach(x, y, (0.5, 0.52), build.wide, build.high)
    level = np.where(edge < 1, 0.55, 0.01)  # fat under the skin
    level = np.where(edge < 0.90, 0.26, level)  # the wall's muscles
    level = np.where(edge < 0.82, 0.46, level)  # fat round the organs
    liver = _swell(z, 0.0, 0.5)
    if liver > 0:
        inside = _reach(x, y, (0.36, 0.45), 0.20 * liver + 0.01, 0.17 * liver + 0.01) < 1
        level = np.where(inside & (edge < 0.82), 0.36, level)
    kidney = _swell(z, 0.5, 0.3)
    for side in (-1, 1):
        if kidney > 0:
            ring = _reach(x, y, (0.5 + side * 0.15, 0.63), 0.05 * kidney, 0.055 * kidney)
            level = np.where(ring < 1, 0.58, level)
            level = np.where(ring < 0.45, 0.42, level)
    level = np.where(_reach(x, y, (0.5, 0.66), 0.065, 0.06) < 1, 0.33, level)  # a vertebra
    level = np.where(_reach(x, y, (0.5, 0.735), 0.022, 0.022) < 1, 0.80, level)  # its canal
    level = np.where(_reach(x, y, (0.47, 0.585), 0.018, 0.018) < 1, 0.75, level)  # the aorta
    return np.asarray(level, dtype=np.float32)


def _stomach(
    x: FloatImage, y: FloatImage, build: Build, z: float, texture: FloatImage
) -> NDArray[np.bool_]:
    swell = _swell(z, build.stomach[2], 0.26)
    if swell < 0.2:
        return np.zeros(x.shape, np.bool_)
    tilt = y + 0.35 * (x - build.stomach[0])
    reach = _reach(x, tilt, build.stomach[:2], 0.13 * swell, 0.085 * swell)
    return np.asarray(reach + 0.04 * texture < 1, dtype=np.bool_)


def _large_bowel(
    x: FloatImage, y: FloatImage, build: Build, z: float, texture: FloatImage
) -> NDArray[np.bool_]:
    """Return the colon: a tube on either side, and one across the front where it turns."""
    colon = np.zeros(x.shape, np.bool_)
    sides = _swell(z, 0.62, 0.34)
    if sides >= 0.2:
        radius = 0.035 + 0.020 * sides
        for side in (-1, 1):
            middle = (0.5 + side * build.colon, 0.53)
            colon |= _reach(x, y, middle, radius, radius * 1.2) + 0.06 * texture < 1
    across = _swell(z, 0.42, 0.14)
    if across >= 0.2:
        bow = y - (0.335 + 0.5 * (x - 0.5) ** 2)
        colon |= (np.abs(bow) < 0.035 * across) & (np.abs(x - 0.5) < build.colon)
    return colon


def _small_bowel(
    x: FloatImage, y: FloatImage, build: Build, z: float
) -> tuple[NDArray[np.bool_], FloatImage]:
    """Return the loops of the small bowel, and the darkness of their walls, 0 to 1."""
    swell = _swell(z, 0.72, 0.30)
    bowel, walls = np.zeros(x.shape, np.bool_), np.zeros(x.shape, np.float32)
    if swell < 0.2:
        return bowel, walls
    for a, b, radius in build.loops:
        reach = _reach(x, y, (a, b), radius * (0.6 + 0.4 * swell), radius * (0.6 + 0.4 * swell))
        bowel |= reach < 1
        walls = np.maximum(walls, np.exp(-(((reach - 0.95) / 0.16) ** 2)))
    return bowel, np.asarray(walls * bowel, dtype=np.float32)
