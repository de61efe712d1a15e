"""Drawings of an operation seen through an endoscope, with the class of each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

ByteImage = NDArray[np.uint8]

CLASSES = (
    "black_background",
    "abdominal_wall",
    "liver",
    "gastrointestinal_tract",
    "fat",
    "grasper",
    "connective_tissue",
    "blood",
    "cystic_duct",
    "l_hook_electrocautery",
    "gallbladder",
    "hepatic_vein",
    "liver_ligament",
)
_WALL = 1


@dataclass(frozen=True)
class _Organ:
    """How a class looks: colour, half axes as shares of the height, and how often it is there."""

    number: int
    colour: tuple[int, int, int]
    """RGB."""
    axes: tuple[float, float]
    share: float


# In the order in which they are drawn: later ones lie in front.
_ORGANS = (
    _Organ(2, (120, 40, 35), (0.55, 0.32), 0.95),
    _Organ(3, (215, 150, 130), (0.3, 0.22), 0.6),
    _Organ(4, (225, 200, 90), (0.38, 0.25), 0.9),
    _Organ(12, (170, 120, 160), (0.2, 0.1), 0.35),
    _Organ(6, (200, 90, 120), (0.2, 0.16), 0.5),
    _Organ(10, (90, 150, 90), (0.26, 0.18), 0.85),
    _Organ(8, (60, 120, 150), (0.14, 0.06), 0.4),
    _Organ(11, (60, 50, 150), (0.12, 0.05), 0.35),
    _Organ(7, (190, 5, 15), (0.12, 0.1), 0.4),
)
_TOOLS = (_Organ(5, (150, 150, 160), (0.06, 0.0), 0.6), _Organ(9, (70, 75, 90), (0.04, 0.0), 0.5))
_WALL_COLOUR = (190, 110, 100)


@dataclass(frozen=True)
class Scene:
    """What a video shows: the place and the tilt of each organ, and its light."""

    seed: int

    def draw(
        self, height: int, width: int, rng: np.random.Generator
    ) -> tuple[ByteImage, ByteImage]:
        """Return a frame, uint8 (H, W, 3) RGB, and the class of each pixel, uint8 (H, W).

        Args:
            height: in pixels.
            width: in pixels.
            rng: of the frame; what the video has in common follows from its seed.
        """
        video = np.random.default_rng(self.seed)
        classes = np.full((height, width), _WALL, np.uint8)
        image = np.full((height, width, 3), _WALL_COLOUR, np.float32)
        light = video.uniform(0.75, 1.15, 3)
        for organ in _ORGANS:
            home, tilt = video.uniform(0.2, 0.8, 2), video.uniform(0, 180)
            if rng.random() < organ.share:
                shape = _ellipse(organ, home + rng.normal(0, 0.04, 2), tilt, (height, width), rng)
                classes[shape], image[shape] = organ.number, organ.colour
        for tool in _TOOLS:
            if rng.random() < tool.share:
                shape = _bar(tool.axes[0], (height, width), rng)
                classes[shape], image[shape] = tool.number, tool.colour
        seen = _round_view(height, width)
        classes[~seen] = 0
        noise = cv2.GaussianBlur(rng.normal(0, 30, (height, width)).astype(np.float32), (0, 0), 2)
        lit = cv2.GaussianBlur(image, (0, 0), max(0.6, height / 200)) * light
        lit = (lit + noise[..., None] + rng.normal(0, 4, image.shape)) * seen[..., None]
        return np.clip(lit, 0, 255).astype(np.uint8), classes


def _ellipse(
    organ: _Organ,
    centre: NDArray[np.float64],
    tilt: float,
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    height, width = shape
    mask = np.zeros(shape, np.uint8)
    axes = tuple(max(2, round(height * axis * rng.uniform(0.8, 1.2))) for axis in organ.axes)
    place = (round(width * float(centre[0])), round(height * float(centre[1])))
    cv2.ellipse(mask, place, axes, tilt + rng.normal(0, 5), 0, 360, 1, cv2.FILLED)
    return mask > 0


def _bar(thickness: float, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a bar from a side of the image to somewhere near its middle."""
    height, width = shape
    mask = np.zeros(shape, np.uint8)
    start = (0 if rng.random() < 0.5 else width - 1, round(height * rng.uniform(0.1, 0.9)))
    end = (round(width * rng.uniform(0.35, 0.65)), round(height * rng.uniform(0.35, 0.65)))
    cv2.line(mask, start, end, 1, max(2, round(2 * thickness * height)))
    return mask > 0


def _round_view(height: int, width: int) -> NDArray[np.bool_]:
    """Return which pixels the endoscope sees: all but the corners."""
    rows, columns = np.mgrid[:height, :width]
    down, across = (rows + 0.5) / height - 0.5, ((columns + 0.5) / width - 0.5) * width / height
    return np.asarray(np.hypot(down, across) < 0.45 * width / height)
