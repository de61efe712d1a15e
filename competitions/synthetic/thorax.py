"""The parts of a phantom other than the lungs: body, spine, heart, ribs, collar bones, lines."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.synthetic.anatomy import Anatomy
from goldfold.competitions.synthetic.lungs import Grid, Lung, smooth_step
from goldfold.competitions.synthetic.projection import Projection

FloatImage = NDArray[np.float32]


def body(grid: Grid, anatomy: Anatomy, projection: Projection) -> tuple[FloatImage, FloatImage]:
    """Return the presence of the body (0 to 1) and the soft tissue in the beam (0 to 1)."""
    wide = anatomy.width * (1 + 0.08 * anatomy.bulk)
    shoulder = anatomy.top + 0.02
    half = np.interp(
        grid.y[:, 0],
        [0.0, shoulder - 0.10, shoulder - 0.04, shoulder + 0.03, 0.33, 0.45, 0.7, 1.0],
        np.array([0.12, 0.15, 0.36, 0.52, 0.52, 0.45, 0.455, 0.44]) * wide,
    )
    rounded = cv2.GaussianBlur(half[:, None].astype(np.float32), (0, 0), grid.side * 0.022)
    inside = rounded - np.abs(grid.x - np.float32(0.5 + anatomy.spine))
    present = smooth_step(inside, -0.004, 0.006)
    if projection.view == "AP":  # arms lie along the body
        arm = smooth_step(-inside, 0.008, 0.016) * smooth_step(grid.y, 0.30, 0.36)
        present = np.maximum(present, 0.85 * arm)
    chord = np.sqrt(np.clip(np.abs(inside) / 0.14, 0.05, 1))
    return present, np.asarray(chord, dtype=np.float32)


def abdomen(grid: Grid, floor: float) -> FloatImage:
    """Return how far each pixel is below the lungs, whose domes end at y = `floor`, 0 to 1."""
    rise = smooth_step(grid.y, floor - 0.05, floor + 0.10)
    return np.broadcast_to(rise, (grid.side, grid.side))


def mediastinum(grid: Grid, anatomy: Anatomy, lungs: tuple[Lung, Lung]) -> FloatImage:
    """Return the shadow of spine, great vessels and windpipe, about -0.3 to 1.5."""
    off = (grid.x - np.float32(0.5 + anatomy.spine)) / np.float32(anatomy.width)
    y = grid.y - np.float32(anatomy.top)
    half = 0.052 + 0.016 * np.cos(2 * np.pi * y / 0.5)  # wide at the top and at the bottom
    band = 0.72 * np.exp(-(np.abs(off / half) ** 2.5))
    vertebrae = 0.5 + 0.5 * np.cos(2 * np.pi * (y / np.float32(anatomy.ribs * 0.92)))
    spine = np.exp(-((off / 0.032) ** 4)) * (0.14 + 0.18 * vertebrae)
    arch = _blob(grid, 0.5 + anatomy.spine + 0.048, anatomy.top + 0.20, 0.038, 0.05, 3) * 0.55
    windpipe = np.exp(-((off / 0.017) ** 4)) * (1 - smooth_step(grid.y, 0.28, 0.38)) * 0.42
    hila = [
        _blob(grid, 0.5 + anatomy.spine + lung.side * 0.08, lung.middle[1] + 0.02, 0.04, 0.07)
        for lung in lungs
    ]
    return np.asarray(band + spine + arch - windpipe + 0.40 * sum(hila), dtype=np.float32)


def heart(grid: Grid, anatomy: Anatomy, projection: Projection, floor: float) -> FloatImage:
    """Return the shadow of the heart, 0 to 1; it is larger in a bedside view."""
    size = anatomy.heart * (1.18 if projection.view == "AP" else 1.0)
    x = grid.x - np.float32(0.5 + anatomy.spine + 0.34 * size)
    y = grid.y - np.float32(floor - 0.70 * size)
    turn = np.deg2rad(42)
    along = x * np.cos(turn) + y * np.sin(turn)
    across = y * np.cos(turn) - x * np.sin(turn)
    reach = np.hypot(along / (1.35 * size), across / size)
    return 1 - smooth_step(np.asarray(reach, dtype=np.float32), 0.86, 1.06)


def ribs(grid: Grid, anatomy: Anatomy, lungs: tuple[Lung, Lung]) -> FloatImage:
    """Return the shadows of the rib cage, 0 to 1: back ribs, fainter front ribs, cortex lines."""
    off = np.abs(grid.x - np.float32(0.5 + anatomy.spine)) / np.float32(anatomy.width)
    reach = off / np.float32(0.36)
    back = grid.y - (0.055 * reach + 0.20 * reach**3)
    front = grid.y + 0.30 * reach - 0.10 * reach**3
    cage = np.maximum(*(smooth_step(lung.depth, -0.012, 0.004) for lung in lungs))
    shadow = _bars(back, anatomy.ribs, anatomy.rib_phase, 0.46) * smooth_step(off, 0.04, 0.09)
    shadow += 0.55 * _bars(front, anatomy.ribs * 1.12, 0.3, 0.50) * smooth_step(off, 0.11, 0.24)
    return np.asarray(shadow * cage, dtype=np.float32)


def _bars(height: FloatImage, distance: float, phase: float, width: float) -> FloatImage:
    """Return parallel bars with brighter rims, 0 to 1, along the lines of equal `height`."""
    position = height / np.float32(distance) + np.float32(phase)
    off = np.abs(position - np.floor(position) - np.float32(0.5)) * 2  # 0 in the middle of a bar
    flat = 1 - smooth_step(off, width - 0.10, width + 0.10)
    rim = np.exp(-(((off - width + 0.08) / 0.075) ** 2))
    return np.asarray(0.55 * flat + 0.45 * rim, dtype=np.float32)


def collar_bones(grid: Grid, anatomy: Anatomy) -> FloatImage:
    """Return the shadows of the collar bones, 0 to 1."""
    off = np.abs(grid.x - np.float32(0.5 + anatomy.spine)) / np.float32(anatomy.width)
    height = anatomy.top + 0.085 - 0.17 * off - 0.25 * (off - 0.16) * (off - 0.30)
    away = np.abs(grid.y - height) / np.float32(0.014)
    span = smooth_step(off, 0.030, 0.055) * (1 - smooth_step(off, 0.33, 0.40))
    bar = (1 - smooth_step(away, 0.75, 1.1)) * 0.6 + 0.4 * np.exp(-(((away - 0.85) / 0.2) ** 2))
    return np.asarray(bar * span, dtype=np.float32)


def breasts(grid: Grid, anatomy: Anatomy, floor: float) -> FloatImage:
    """Return the shadows of the breasts, 0 to 1, fainter in men."""
    off = np.abs(grid.x - np.float32(0.5 + anatomy.spine)) / np.float32(anatomy.width)
    size = 0.13 + 0.06 * anatomy.bulk
    low = floor + (0.04 if anatomy.sex == "F" else -0.02)
    reach = np.hypot((off - 0.265) / size, (grid.y - (low - 0.8 * size)) / size)
    return (1 - smooth_step(reach, 0.70, 1.03)) * np.float32(1.0 if anatomy.sex == "F" else 0.25)


def stomach_gas(grid: Grid, floor: float, rng: np.random.Generator) -> FloatImage:
    """Return the dark gas bubble below the patient's left diaphragm, 0 to 1."""
    x, y = rng.uniform(0.64, 0.78), floor + rng.uniform(0.06, 0.11)
    return _blob(grid, x, y, rng.uniform(0.03, 0.075), rng.uniform(0.018, 0.04), power=6)


def lines(grid: Grid, count: int, rng: np.random.Generator) -> FloatImage:
    """Return tubes and wires, 0 to 1: thin bright curves across the chest."""
    canvas = np.zeros((grid.side, grid.side), np.uint8)
    for _ in range(count):
        start, end = rng.uniform((0.1, 0.0), (0.9, 0.3)), rng.uniform((0.15, 0.45), (0.85, 1.0))
        bend = (start + end) / 2 + rng.normal(0, 0.09, 2)
        t = np.linspace(0, 1, 40)[:, None]
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
        fixed = np.rint(curve * grid.side * 16).astype(np.int32)
        width = max(1, round(grid.side * rng.uniform(0.002, 0.006)))
        cv2.polylines(canvas, [fixed], False, int(rng.integers(120, 255)), width, cv2.LINE_AA, 4)
        if rng.random() < 0.4:  # an electrode at its end
            centre = (round(end[0] * grid.side), round(end[1] * grid.side))
            cv2.circle(canvas, centre, max(2, round(grid.side * 0.012)), 230, -1, cv2.LINE_AA)
    return np.asarray(canvas, dtype=np.float32) / np.float32(255)


def _blob(
    grid: Grid, x: float, y: float, width: float, height: float, power: int = 2
) -> FloatImage:
    """Return a soft ellipse, 1 at its centre; a higher power gives a flatter top."""
    reach = ((grid.x - np.float32(x)) / width) ** 2 + ((grid.y - np.float32(y)) / height) ** 2
    return np.asarray(np.exp(-(reach ** (power / 2))), dtype=np.float32)
