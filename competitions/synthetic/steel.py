"""Synthetic strips of rolled steel with four kinds of defects.

Lengths are fractions of the strip's height; x runs along the strip, y across it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

ByteImage = NDArray[np.uint8]
FloatImage = NDArray[np.float32]

CLASSES = ("1", "2", "3", "4")
"""Pits, cracks, scratches, patches."""
_MARGIN = 0.15  # share of the strips with one end without steel
_BLACK = 4.0
_AS_DRAWN = 256  # height in pixels at which grain is not scaled


def draw_strip(
    kinds: Sequence[str], height: int, width: int, rng: np.random.Generator
) -> tuple[ByteImage, list[ByteImage]]:
    """Return a gray strip and the mask of each of `CLASSES`; the masks do not overlap.

    Args:
        kinds: names of the classes to show.
        height: in pixels.
        width: in pixels.
        rng: determines everything else.

    Returns:
        The strip (H, W) uint8, and four masks (H, W) of 0 and 1, all zero for classes not in
        `kinds`.
    """
    steel = _surface(height, width, rng)
    left, right = _lit(width, rng)
    taken = np.zeros((height, width), np.uint8)
    taken[:, :left] = taken[:, right:] = 1
    masks = []
    for name in CLASSES:
        mask = np.zeros((height, width), np.uint8)
        if name in kinds:
            change, mask = _DEFECTS[name](height, width, (left, right), rng)
            steel = steel + change
        masks.append(np.asarray(mask & (1 - taken), dtype=np.uint8))
        taken |= mask
    steel[:, :left] = _BLACK
    steel[:, right:] = _BLACK
    steel += rng.standard_normal(steel.shape, dtype=np.float32) * 1.5
    return np.asarray(np.clip(np.rint(steel), 0, 255), dtype=np.uint8), masks


def _surface(height: int, width: int, rng: np.random.Generator) -> FloatImage:
    """Return steel without defects: uneven light, streaks in the rolling direction, grain."""
    scale = height / _AS_DRAWN
    across = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    along = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    light = rng.uniform(75, 130) * (1 + rng.uniform(-0.2, 0.2) * (along - 0.5))
    light = light + rng.uniform(4, 14) * np.sin(2 * np.pi * (along * rng.uniform(1, 3) + across))
    streaks = _smooth(rng.standard_normal((height, 1), dtype=np.float32), 0.1, 5 * scale)
    bands = _smooth(rng.standard_normal((1, width), dtype=np.float32), 25 * scale, 0.1)
    grain = _smooth(rng.standard_normal((height, width), dtype=np.float32), 2.5 * scale, 0.6)
    return np.asarray(light + 5 * streaks + 6 * bands + 5 * grain, dtype=np.float32)


def _smooth(noise: FloatImage, x: float, y: float) -> FloatImage:
    """Return blurred noise with a standard deviation of 1."""
    blurred = cv2.GaussianBlur(noise, (0, 0), sigmaX=max(x, 0.1), sigmaY=max(y, 0.1))
    return np.asarray(blurred / max(float(blurred.std()), 1e-6), dtype=np.float32)


def _lit(width: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the first column that shows steel, and the column after the last one."""
    if rng.random() >= _MARGIN:
        return 0, width
    dark = round(width * rng.uniform(0.08, 0.4))
    return (dark, width) if rng.random() < 0.5 else (0, width - dark)


def _place(
    height: int, lit: tuple[int, int], rng: np.random.Generator, off: float = 0.15
) -> tuple[float, float]:
    """Return a random point (x, y) in pixels, at least `off` times the height from every edge."""
    edge = off * height
    x = rng.uniform(lit[0] + edge, max(lit[0] + edge, lit[1] - edge))
    return float(x), float(rng.uniform(edge, height - edge))


def _pits(
    height: int, width: int, lit: tuple[int, int], rng: np.random.Generator
) -> tuple[FloatImage, ByteImage]:
    """Return clusters of small dark dots, and their mask: the dots with a rim around them."""
    canvas = np.zeros((height, width), np.uint8)
    for _ in range(1 + int(rng.integers(3))):
        x, y = _place(height, lit, rng)
        for _ in range(8 + int(rng.integers(16))):
            dot = (x + rng.normal(0, 0.16) * height, y + rng.normal(0, 0.10) * height)
            radius = height * rng.uniform(0.008, 0.018)
            _disc(canvas, dot, max(0.8, radius))
    return _dark(canvas, rng.uniform(45, 70)), _grown(canvas, 0.022)


def _cracks(
    height: int, width: int, lit: tuple[int, int], rng: np.random.Generator
) -> tuple[FloatImage, ByteImage]:
    """Return thin dark lines across the strip, and their mask: the lines with a rim."""
    canvas = np.zeros((height, width), np.uint8)
    for _ in range(1 + int(rng.integers(3))):
        x, y = _place(height, lit, rng)
        long = height * rng.uniform(0.35, 0.8)
        rows = np.linspace(y - long / 2, y + long / 2, 24)
        columns = x + np.cumsum(rng.normal(0, 0.010, 24)) * height
        _line(canvas, np.stack([columns, rows], axis=1), max(1, round(height * 0.012)))
    return _dark(canvas, rng.uniform(50, 75)), _grown(canvas, 0.025)


def _scratches(
    height: int, width: int, lit: tuple[int, int], rng: np.random.Generator
) -> tuple[FloatImage, ByteImage]:
    """Return bundles of bright lines along the strip; the mask fills the gaps within a bundle."""
    canvas = np.zeros((height, width), np.uint8)
    for _ in range(1 + int(rng.integers(3))):
        x, y = _place(height, lit, rng, 0.25)
        slope, long = rng.normal(0, 0.12), height * rng.uniform(0.5, 2.0)
        for _ in range(3 + int(rng.integers(5))):
            middle = x + rng.normal(0, 0.18) * height
            half = long * rng.uniform(0.3, 0.6)
            ends = np.array([[middle - half, 0], [middle + half, 0]])
            ends[:, 1] = y + rng.normal(0, 0.05) * height + slope * (ends[:, 0] - middle)
            _line(canvas, ends, max(1, round(height * rng.uniform(0.006, 0.02))))
    size = max(3, round(height * 0.10)) | 1
    closed = cv2.morphologyEx(canvas, cv2.MORPH_CLOSE, _ellipse(size))
    return -_dark(canvas, rng.uniform(45, 80)), _grown(np.asarray(closed, np.uint8), 0.012)


def _patches(
    height: int, width: int, lit: tuple[int, int], rng: np.random.Generator
) -> tuple[FloatImage, ByteImage]:
    """Return rough, mottled patches with bright rims, and their mask."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    inside = np.zeros((height, width), np.float32)
    ragged = _smooth(rng.standard_normal((height, width), dtype=np.float32), *[height * 0.06] * 2)
    for _ in range(1 + int(rng.integers(2))):
        x, y = _place(height, lit, rng, 0.3)
        wide, high = height * rng.uniform(0.25, 0.6), height * rng.uniform(0.18, 0.38)
        reach = np.hypot((columns - x) / wide, (rows - y) / high) + 0.22 * ragged
        inside = np.maximum(inside, (reach < 1).astype(np.float32))
    soft = np.asarray(cv2.GaussianBlur(inside, (0, 0), max(0.5, height * 0.008)), np.float32)
    rim = 4 * soft * (1 - soft)
    mottle = _smooth(rng.standard_normal((height, width), dtype=np.float32), *[height * 0.02] * 2)
    change = soft * (mottle * 22 - 28) + rim * 35
    return np.asarray(change, np.float32), np.asarray(inside > 0, np.uint8)


_DEFECTS: dict[
    str,
    Callable[
        [int, int, tuple[int, int], np.random.Generator],
        tuple[FloatImage, ByteImage],
    ],
] = dict(zip(CLASSES, (_pits, _cracks, _scratches, _patches), strict=True))


def _disc(canvas: ByteImage, middle: tuple[float, float], radius: float) -> None:
    centre = (round(middle[0] * 16), round(middle[1] * 16))
    cv2.circle(canvas, centre, round(radius * 16), 255, -1, cv2.LINE_AA, 4)


def _line(canvas: ByteImage, points: NDArray[np.float64], thickness: int) -> None:
    fixed = np.rint(points * 16).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, 255, thickness, cv2.LINE_AA, 4)


def _dark(canvas: ByteImage, depth: float) -> FloatImage:
    """Return the change of the gray level by what was drawn, -`depth` at full coverage."""
    return np.asarray(canvas.astype(np.float32) * np.float32(-depth / 255), dtype=np.float32)


def _grown(canvas: ByteImage, rim: float) -> ByteImage:
    """Return the mask of what was drawn, with a rim around it."""
    size = 2 * max(1, round(rim * canvas.shape[0])) + 1
    return np.asarray(cv2.dilate((canvas > 127).astype(np.uint8), _ellipse(size)), np.uint8)


def _ellipse(size: int) -> ByteImage:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)
