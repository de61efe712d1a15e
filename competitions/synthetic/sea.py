"""Synthetic aerial images of the sea, with ships, wakes, clouds and coasts.

Lengths are fractions of the image side.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

ByteImage = NDArray[np.uint8]
FloatImage = NDArray[np.float32]

_COAST, _CLOUDS = 0.15, 0.25  # shares of the images that show them
_TRIES = 40


@dataclass(frozen=True)
class Ship:
    """A ship: centre (x, y), length, width, and angle between its bow and the x axis in degrees."""

    x: float
    y: float
    length: float
    width: float
    angle: float

    def corners(self, grow: float = 1.0) -> NDArray[np.float64]:
        """Return the corners of its bounding rectangle, (4, 2) as (x, y), scaled by a factor."""
        along, across = self._axes()
        half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * 0.5 * grow
        box = half[:, :1] * self.length * along + half[:, 1:] * self.width * across
        return np.asarray(box + np.array([self.x, self.y]))

    def hull(self) -> NDArray[np.float64]:
        """Return the outline of the hull, (5, 2) as (x, y): a rectangle with a pointed bow."""
        along, across = self._axes()
        shape = np.array([[0.5, 0], [0.30, 0.5], [-0.5, 0.45], [-0.5, -0.45], [0.30, -0.5]])
        outline = shape[:, :1] * self.length * along + shape[:, 1:] * self.width * across
        return np.asarray(outline + np.array([self.x, self.y]))

    def wake(self) -> NDArray[np.float64]:
        """Return the outline of the wake behind it, (4, 2) as (x, y)."""
        along, across = self._axes()
        stern = np.array([self.x, self.y]) - 0.5 * self.length * along
        end = stern - 1.8 * self.length * along
        near, far = 0.25 * self.width * across, 0.9 * self.width * across
        return np.asarray([stern + near, stern - near, end - far, end + far])

    def _axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        turn = np.deg2rad(self.angle)
        return np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])


def draw_scene(
    ships: int, size: int, rng: np.random.Generator
) -> tuple[ByteImage, list[ByteImage]]:
    """Return an image of the sea and a mask for each ship; masks do not overlap.

    A mask is the rotated bounding rectangle of the ship, clipped by the image, as in the real data.

    Args:
        ships: number of ships; there are fewer if there is no room, but at least one.
        size: side in pixels.
        rng: determines everything else.

    Returns:
        The image (H, W, 3) uint8 in RGB order, and masks (H, W) of 0 and 1.
    """
    rows, columns = np.mgrid[:size, :size].astype(np.float32) / size
    scene = _water(size, rows, columns, rng)
    land = _land(size, rows, columns, rng) if rng.random() < _COAST else None
    if land is not None:
        scene = _with_land(scene, land, rng)
    placed, masks = _place(ships, size, land, rng)
    for ship in placed:
        scene = _with_ship(scene, ship, size, rng)
    if rng.random() < _CLOUDS:
        scene = _with_clouds(scene, size, rng)
    scene = scene + rng.standard_normal((size, size, 1), dtype=np.float32) * 2
    return np.asarray(np.clip(np.rint(scene), 0, 255), dtype=np.uint8), masks


def _water(
    size: int, rows: FloatImage, columns: FloatImage, rng: np.random.Generator
) -> FloatImage:
    """Return the sea, (H, W, 3): its colour with slow variations and waves."""
    colour = np.array([20, 52, 72], np.float32) + rng.normal(0, 1, 3).astype(np.float32) * 5
    colour = colour * np.float32(rng.uniform(0.75, 1.35))
    slow = _smooth(size, size * 0.15, rng)
    turn, fine = rng.uniform(0, np.pi), rng.uniform(50, 110)
    swell = np.sin(2 * np.pi * fine * (rows * np.cos(turn) + columns * np.sin(turn)) + 2 * slow)
    chop = _smooth(size, max(0.5, size * 0.002), rng)
    light = 1 + 0.06 * slow + 0.02 * swell + 0.04 * chop
    return np.asarray(colour * light[..., None], dtype=np.float32)


def _smooth(size: int, sigma: float, rng: np.random.Generator) -> FloatImage:
    """Return smooth noise, (H, W), with deviation 1; coarse noise is drawn small and enlarged."""
    step = max(1, int(sigma // 4))
    side = -(-size // step) + 1
    noise = rng.standard_normal((side, side), dtype=np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), sigma / step)
    if step > 1:
        blurred = cv2.resize(blurred, (side * step, side * step), interpolation=cv2.INTER_CUBIC)
    cut = blurred[:size, :size]
    return np.asarray(cut / max(float(cut.std()), 1e-6), dtype=np.float32)


def _land(size: int, rows: FloatImage, columns: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Return the distance inland of each pixel, negative at sea; the coast is on one side."""
    turn, off = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.35)
    ragged = _smooth(size, size * 0.05, rng)
    inland = (rows - 0.5) * np.sin(turn) + (columns - 0.5) * np.cos(turn) - off + 0.02 * ragged
    return np.asarray(inland, dtype=np.float32)


def _with_land(scene: FloatImage, land: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Return the scene with a bright beach and fields behind it."""
    size = land.shape[0]
    fields = _smooth(size, size * 0.012, rng)
    green = np.array([78, 88, 58], np.float32) * (1 + 0.18 * fields[..., None])
    sand = np.array([178, 164, 128], np.float32)
    ground = np.where((land < 0.02)[..., None], sand, green)
    inside = np.clip(land / 0.004, 0, 1)[..., None]
    return np.asarray(scene * (1 - inside) + ground * inside, dtype=np.float32)


def _place(
    count: int, size: int, land: FloatImage | None, rng: np.random.Generator
) -> tuple[list[Ship], list[ByteImage]]:
    """Return ships at sea that do not touch, and their masks."""
    placed: list[Ship] = []
    masks: list[ByteImage] = []
    taken = np.zeros((size, size), np.uint8)
    if land is not None:
        taken |= (land > -0.04).astype(np.uint8)
    for place in range(count * _TRIES):
        if len(placed) == count:
            break
        length = max(0.04 + 0.16 * rng.beta(1.2, 2.2), 9 / size)
        width = max(length * rng.uniform(0.18, 0.30), 3 / size)
        x, y = rng.uniform(0.05, 0.95, 2)
        ship = Ship(float(x), float(y), float(length), float(width), float(rng.uniform(0, 360)))
        near = _filled(ship.corners(1.4), size) > 0
        if taken[near].any() and not (place == count * _TRIES - 1 and not placed):
            continue
        mask = np.asarray(_filled(ship.corners(1.05), size) > 127, np.uint8)
        taken |= near.astype(np.uint8)
        placed.append(ship)
        masks.append(mask)
    return placed, masks


def _filled(outline: NDArray[np.float64], size: int) -> ByteImage:
    """Return the coverage of each pixel by an outline, 0 to 255."""
    fine = np.zeros((size, size), np.uint8)
    cv2.fillPoly(fine, [np.rint(outline * size * 16 - 8).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return fine


def _with_ship(scene: FloatImage, ship: Ship, size: int, rng: np.random.Generator) -> FloatImage:
    """Return the scene with a ship: wake, hull and superstructure."""
    if rng.random() < 0.6:
        foam = cv2.GaussianBlur(_filled(ship.wake(), size), (0, 0), max(0.6, ship.width * size / 4))
        scene = _painted(scene, np.asarray(foam, np.uint8), np.full(3, 190.0), 0.35)
    bright = rng.uniform(150, 235)
    tint = np.array([1.0, rng.uniform(0.85, 1.0), rng.uniform(0.75, 1.0)]) * bright
    scene = _painted(scene, _filled(ship.hull(), size), tint, 1.0)
    turn = np.deg2rad(ship.angle)
    aft = Ship(
        ship.x - 0.30 * ship.length * float(np.cos(turn)),
        ship.y - 0.30 * ship.length * float(np.sin(turn)),
        0.16 * ship.length,
        0.6 * ship.width,
        ship.angle,
    )
    return _painted(scene, _filled(aft.corners(), size), np.full(3, 0.45 * bright), 0.8)


def _painted(
    scene: FloatImage, cover: ByteImage, colour: NDArray[np.float64], most: float
) -> FloatImage:
    """Return the scene blended with a colour.

    Args:
        scene: (H, W, 3).
        cover: (H, W) coverage, 0 to 255.
        colour: (3,).
        most: weight of the colour at full coverage, 0 to 1.
    """
    share = cover.astype(np.float32)[..., None] * np.float32(most / 255)
    return np.asarray(scene * (1 - share) + colour.astype(np.float32) * share, dtype=np.float32)


def _with_clouds(scene: FloatImage, size: int, rng: np.random.Generator) -> FloatImage:
    """Return the scene under thin, scattered clouds."""
    coarse = _smooth(size, size * 0.09, rng)
    fine = _smooth(size, size * 0.025, rng)
    cover = np.clip((coarse + 0.35 * fine - rng.uniform(1.0, 1.6)) * 0.5, 0, 0.75)[..., None]
    return np.asarray(scene * (1 - cover) + 232 * cover, dtype=np.float32)
