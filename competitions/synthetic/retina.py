"""A photograph of a retina: disc, macula, vessels, and what diabetes leaves behind in it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

ByteImage = NDArray[np.uint8]
FloatImage = NDArray[np.float32]

LESIONS = ((0, 0, 0), (5, 0, 0), (10, 3, 5), (16, 8, 12), (20, 12, 14))
"""By grade: small aneurysms, hemorrhages and exudates, about so many."""
_BACKGROUND, _DISC = (45, 90, 190), (120, 200, 250)  # BGR
_VESSEL, _BLOOD, _EXUDATE = (25, 40, 130), (15, 15, 110), (110, 220, 245)
_PROLIFERATIVE = 4


def draw_retina(grade: int, side: int, rng: np.random.Generator) -> ByteImage:
    """Return a photograph, uint8 (side, side, 3), blue first.

    Args:
        grade: of the retinopathy, 0 to 4.
        side: in pixels.
        rng: decides everything but the grade.
    """
    eye = np.empty((side, side, 3), np.float32)
    eye[:] = np.array(_BACKGROUND, np.float32) * rng.uniform(0.8, 1.15)
    centre = np.array([0.5, 0.5]) * side
    left = rng.random() < 0.5
    disc = np.array([0.25 if left else 0.75, rng.uniform(0.45, 0.55)]) * side
    macula = centre + rng.normal(0, 0.02, 2) * side
    _spot(eye, macula, 0.11 * side, np.array(_BACKGROUND) * 0.55, soft=True)
    _vessels(eye, disc, rng, extra=grade == _PROLIFERATIVE)
    _spot(eye, disc, 0.07 * side, _DISC, soft=False)
    small, blood, exudates = (round(count * rng.uniform(0.7, 1.3)) for count in LESIONS[grade])
    for count, size, colour in (
        (small, 0.009, _BLOOD),
        (blood, 0.022, _BLOOD),
        (exudates, 0.016, _EXUDATE),
    ):
        for _ in range(count):
            angle, reach = rng.uniform(0, 2 * np.pi), 0.36 * np.sqrt(rng.random())
            place = centre + side * reach * np.array([np.cos(angle), np.sin(angle)])
            _spot(eye, place, size * side * rng.uniform(0.8, 1.3), colour, soft=False)
    return _photographed(eye, rng)


def _spot(
    eye: FloatImage, place: NDArray[np.float64], radius: float, colour: object, *, soft: bool
) -> None:
    """Paint a disc, with a wide soft rim or a narrow one."""
    rows, columns = np.mgrid[: len(eye), : len(eye)].astype(np.float32)
    reach = np.hypot(columns - place[0], rows - place[1]) / max(radius, 1.0)
    share = np.clip((1.6 - reach) / (1.2 if soft else 0.4), 0, 1)[..., None] * (0.8 if soft else 1)
    eye += share * (np.array(colour, np.float32) - eye)


def _vessels(
    eye: FloatImage, disc: NDArray[np.float64], rng: np.random.Generator, *, extra: bool
) -> None:
    """Paint vessels that leave the disc in arcs; new ones grow in knots beside it."""
    side = len(eye)
    to_middle = np.sign(side / 2 - disc[0])
    t = np.linspace(0, 1, 40)[:, None]
    for up in (-1, 1):
        for reach in (0.22, 0.34, 0.42):
            bend = disc + side * np.array([to_middle * 0.18, up * reach * rng.uniform(0.8, 1.2)])
            end = disc + side * np.array([to_middle * rng.uniform(0.45, 0.6), up * reach * 0.7])
            curve = (1 - t) ** 2 * disc + 2 * t * (1 - t) * bend + t**2 * end
            _line(eye, curve, max(1, round(side * 0.012 * rng.uniform(0.6, 1.1))))
    for _ in range(10 if extra else 0):
        knots = disc + rng.normal(0, 0.09, (5, 2)) * side
        _line(eye, knots, max(1, round(side * 0.006)))


def _line(eye: FloatImage, curve: NDArray[np.float64], width: int) -> None:
    canvas = np.zeros(eye.shape[:2], np.uint8)
    points = np.rint(curve * 16).astype(np.int32)
    cv2.polylines(canvas, [points], False, 255, width, cv2.LINE_AA, 4)
    share = canvas[..., None].astype(np.float32) / 255
    eye += share * (np.array(_VESSEL, np.float32) - eye)


def _photographed(eye: FloatImage, rng: np.random.Generator) -> ByteImage:
    """Return the picture of the eye: round, darker towards the rim, with some noise."""
    side = len(eye)
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    reach = np.hypot(rows, columns)
    shade = (1 - 0.9 * np.clip(reach - 0.1, 0, 1)) * (reach < 0.48)
    noise = rng.normal(0, 3, eye.shape).astype(np.float32)
    return np.asarray(np.clip((eye + noise) * shade[..., None], 0, 255), dtype=np.uint8)
