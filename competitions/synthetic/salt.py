"""Synthetic seismic sections with layers of rock and bodies of salt.

Gray levels show how strongly the ground reflects sound: layers of rock are bands; salt has its own
texture, and a bright and a dark line along its border. Lengths are fractions of the section's
height.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

ByteImage = NDArray[np.uint8]
FloatImage = NDArray[np.float32]

KINDS = ("none", "border", "columns", "full")
"""No salt; a body with a border; straight columns that follow no edge; only salt."""
_WATER = 0.2  # share of the sections without salt that show the sea floor
_CHAOS = 0.3  # share of the sections with rock without layers
_LEAST, _MOST = 0.004, 0.97  # share of a section covered by a body with a border
_TRIES = 20


def draw_section(kind: str, size: int, rng: np.random.Generator) -> tuple[ByteImage, ByteImage]:
    """Return a gray section and the mask of its salt.

    Args:
        kind: one of `KINDS`.
        size: side in pixels.
        rng: determines everything else.

    Returns:
        The section (size, size) uint8, and the mask (size, size) of 0 and 1.
    """
    contrast = float(rng.uniform(16, 42))
    section = (_chaos if rng.random() < _CHAOS else _layers)(size, rng) * np.float32(contrast)
    mask = np.zeros((size, size), np.uint8)
    if kind == "none" and rng.random() < _WATER:
        section = _under_water(section, contrast, rng)
    elif kind == "border":
        away = _body(size, rng)
        mask = (away < 0).astype(np.uint8)
        section = _with_salt(section, away, contrast, rng)
    elif kind == "columns":
        mask = _columns(size, rng)
    elif kind == "full":
        mask[:] = 1
        section = _salt(size, contrast, rng)
    section = section + float(rng.uniform(105, 140))
    section += _noise((size, size), rng) * np.float32(rng.uniform(0.3, 2.5))
    return np.asarray(np.clip(np.rint(section), 0, 255), dtype=np.uint8), mask


def _noise(shape: tuple[int, int], rng: np.random.Generator) -> FloatImage:
    return rng.standard_normal(shape, dtype=np.float32)


def _smooth(noise: FloatImage, x: float, y: float) -> FloatImage:
    """Return blurred noise with a standard deviation of 1."""
    blurred = cv2.GaussianBlur(noise, (0, 0), sigmaX=max(x, 0.1), sigmaY=max(y, 0.1))
    return np.asarray(blurred / max(float(blurred.std()), 1e-6), dtype=np.float32)


def _thickness(size: int, rng: np.random.Generator) -> float:
    """Return the thickness of a layer in pixels; the scale of the sections varies widely."""
    return float(size * np.exp(rng.uniform(np.log(0.007), np.log(0.045))))


def _curve(size: int, rough: float, rng: np.random.Generator) -> FloatImage:
    """Return a smooth random curve, (size,), with deviation 1; `rough` adds small variations."""
    wide = _smooth(_noise((1, size), rng), size * rng.uniform(0.10, 0.30), 0.1)[0]
    return np.asarray(wide + rough * _smooth(_noise((1, size), rng), size * 0.02, 0.1)[0])


def _layers(size: int, rng: np.random.Generator) -> FloatImage:
    """Return tilted, folded and broken layers, (size, size), with a deviation of about 1."""
    thick = _thickness(size, rng)
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    steep = rng.normal(0, 0.35)
    folds = size * rng.uniform(0.01, 0.09) * _curve(size, 0.0, rng)[None, :]
    depth = rows + steep * (columns - size / 2) + folds * (0.4 + 0.8 * rows / size)
    if rng.random() < 0.5:  # a fault, along which one side has sunk
        beyond = columns > size * rng.uniform(0.2, 0.8) + (rows - size / 2) * rng.normal(0, 0.3)
        sunk = cv2.GaussianBlur(beyond.astype(np.float32), (0, 0), max(0.6, size * 0.01))
        depth = depth + sunk * np.float32(thick * rng.uniform(1, 4))
    depth = depth + thick * rng.uniform(0.1, 0.5) * _smooth(_noise((size, size), rng), *[3.0] * 2)
    ends = _smooth(_noise((1, 8 * size), rng), thick, 0.1)[0]
    place = np.clip(depth + 3 * size, 0, 8 * size - 1)
    bands = np.interp(place.ravel(), np.arange(8 * size), ends).reshape(size, size)
    loud = 1 + 0.45 * _smooth(_noise((size, size), rng), size * 0.15, size * 0.08)
    loose = _smooth(_noise((size, size), rng), thick * 3, thick)
    return np.asarray(bands * np.clip(loud, 0.2, 2.5) * 0.9 + 0.4 * loose, dtype=np.float32)


def _chaos(size: int, rng: np.random.Generator) -> FloatImage:
    """Return rock without visible layers, (size, size): streaks in one direction."""
    thick = _thickness(size, rng)
    long = thick * rng.uniform(1.0, 3.5)
    return _turned(_noise((2 * size, 2 * size), rng), long, thick, rng.uniform(-80, 80))


def _turned(noise: FloatImage, x: float, y: float, degrees: float) -> FloatImage:
    """Return the middle half of rotated, blurred noise."""
    side = noise.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), float(degrees), 1.0)
    turned = cv2.warpAffine(_smooth(noise, x, y), turn, (side, side), borderMode=cv2.BORDER_REFLECT)
    start = side // 4
    middle = turned[start : start + side // 2, start : start + side // 2]
    return np.asarray(middle, dtype=np.float32)


def _under_water(rock: FloatImage, contrast: float, rng: np.random.Generator) -> FloatImage:
    """Return the rock below calm water and a bright sea floor."""
    size = rock.shape[0]
    rows = np.arange(size, dtype=np.float32)[:, None]
    tilt = np.linspace(-0.5, 0.5, size, dtype=np.float32) * rng.normal(0, 0.15)
    bottom = size * (rng.uniform(0.15, 0.8) + tilt + 0.01 * _curve(size, 0.0, rng))
    below = rows - bottom[None, :]
    calm = np.where(below > 0, rock * np.float32(0.45), 0)
    echo = _ringing(below, size * 0.02) * np.float32(2.2 * contrast + 30)
    return np.asarray(calm + echo, dtype=np.float32)


def _body(size: int, rng: np.random.Generator) -> FloatImage:
    """Return the distance from the salt in pixels, negative inside, (size, size)."""
    for _ in range(_TRIES):
        inside = _outline(size, rng)
        if _LEAST <= inside.mean() <= _MOST:
            break
    else:
        inside = np.zeros((size, size), np.uint8)
        inside[size // 2 :] = 1
    outward = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    inward = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    return np.asarray(outward - inward + np.where(inside > 0, 0.5, -0.5), dtype=np.float32)


def _outline(size: int, rng: np.random.Generator) -> ByteImage:
    """Return the mask of a flank, a dome, salt around a basin, or a tongue of salt."""
    rows, columns = np.mgrid[:size, :size].astype(np.float32) / size
    rough = size / 101 * rng.uniform(0.0, 0.12)
    kind = rng.choice(("flank", "dome", "basin", "tongue"), p=(0.40, 0.30, 0.15, 0.15))
    wave = 0.05 * _curve(size, rough, rng)
    if kind == "flank":
        at = rng.uniform(-0.2, 0.95) + rng.normal(0, 0.45) * (rows - 0.5) + wave[:, None]
        inside = columns < at if rng.random() < 0.5 else columns > 1 - at
    elif kind == "dome":
        top = rng.uniform(0.1, 0.98) + rng.normal(0, 0.5) * (columns - 0.5) + 1.6 * wave[None, :]
        away = np.abs(columns - rng.uniform(0.2, 0.8)) ** np.float32(rng.uniform(1.2, 2.4))
        inside = rows > top + rng.uniform(0, 2) * away
    elif kind == "basin":
        middle, wide = rng.uniform(0, 1), rng.uniform(0.2, 0.7)
        away = np.abs((columns + wave[:, None] - middle) / wide) ** np.float32(rng.uniform(1, 2.2))
        inside = rows > rng.uniform(0.15, 0.9) - away + 2 * wave[None, :]
    else:
        roof = rng.uniform(0.0, 0.7) + rng.normal(0, 0.3) * (columns - 0.5) + wave[None, :]
        high = rng.uniform(0.15, 0.6) + rng.normal(0, 0.3) * columns
        base = roof + high + 0.05 * _curve(size, rough, rng)[None, :]
        inside = (rows > roof) & (rows < base)
    return np.asarray(inside, dtype=np.uint8)


def _with_salt(
    rock: FloatImage, away: FloatImage, contrast: float, rng: np.random.Generator
) -> FloatImage:
    """Return the rock with the salt and the line along its border."""
    size = rock.shape[0]
    soft = size * rng.uniform(0.004, 0.012)
    inside = 1 / (1 + np.exp(np.clip(away / soft, -30, 30)))
    loud = 0.75 + 0.5 * _smooth(_noise((size, size), rng), size * 0.12, size * 0.12)
    line = _ringing(away, size * rng.uniform(0.012, 0.035)) * np.clip(loud, 0.1, 2)
    sign = 1 if rng.random() < 0.65 else -1
    strength = np.float32(sign * contrast * rng.uniform(1.2, 2.4))
    salt = _salt(size, contrast, rng)
    return np.asarray(rock * (1 - inside) + salt * inside + line * strength, dtype=np.float32)


def _ringing(away: FloatImage, width: float) -> FloatImage:
    """Return a bright line where `away` is 0, with a dark one on either side."""
    scaled = np.square(away / np.float32(max(width, 0.7)))
    return np.asarray((1 - scaled) * np.exp(-scaled / 2), dtype=np.float32)


def _salt(size: int, contrast: float, rng: np.random.Generator) -> FloatImage:
    """Return the texture of salt, (size, size): weak, and rather vertical than horizontal."""
    thick, long = _thickness(size, rng), rng.uniform(1, 8)
    upright = _turned(_noise((2 * size, 2 * size), rng), thick, thick * long, rng.normal(0, 15))
    cloud = _smooth(_noise((size, size), rng), size * 0.2, size * 0.2)
    weak = contrast * rng.uniform(0.08, 0.38)
    light = rng.normal(0, 10)
    return np.asarray(light + weak * upright + 0.12 * contrast * cloud, dtype=np.float32)


def _columns(size: int, rng: np.random.Generator) -> ByteImage:
    """Return a mask of vertical bands, with one or two edges; all its rows are equal."""
    changes = 1 if rng.random() < 0.75 else 2
    places = np.sort(rng.choice(np.arange(size // 16, size - size // 16), changes, replace=False))
    row = (np.searchsorted(places, np.arange(size), side="right") % 2).astype(np.uint8)
    if rng.random() < 0.5:
        row = np.asarray(1 - row, dtype=np.uint8)
    return np.repeat(row[None, :], size, axis=0)
