"""A chest phantom: an X-ray-like image and the masks of its pneumothorax."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.synthetic import pneumothorax, thorax
from goldfold.competitions.synthetic.anatomy import Anatomy, draw_anatomy
from goldfold.competitions.synthetic.lungs import Grid, Lung, lung, smooth_step, vessels
from goldfold.competitions.synthetic.pneumothorax import (
    Crescent,
    FreeAir,
    LookAlikes,
    draw_crescents,
)
from goldfold.competitions.synthetic.projection import Projection, draw_projection, expose, pose

FloatImage = NDArray[np.float32]
ByteImage = NDArray[np.uint8]

_SMALLEST_SIDE, _LARGEST_SIDE = 128, 512  # of the rendering, before it is resized
_GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True)
class Phantom:
    """A rendered phantom."""

    image: ByteImage
    """(size, size) uint8, bright = dense, whatever the photometric interpretation of the file."""
    masks: tuple[ByteImage, ...]
    """One (size, size) uint8 mask of 0 and 1 per crescent; empty without a pneumothorax."""

    def mask(self) -> ByteImage:
        """Return the union of the masks, (size, size) uint8 of 0 and 1."""
        union = np.zeros_like(self.image)
        for mask in self.masks:
            union |= mask
        return union


def render_phantom(
    anatomy: Anatomy,
    projection: Projection,
    crescents: tuple[Crescent, ...],
    size: int,
    rng: np.random.Generator,
) -> Phantom:
    """Return a phantom: a pure function of its arguments and the state of `rng`.

    The smooth parts are rendered at no more than 512 x 512 and resized; noise is drawn at `size`.
    """
    grid = Grid.of(int(np.clip(size, _SMALLEST_SIDE, _LARGEST_SIDE)))
    lungs = (
        lung(grid, anatomy, -1, projection.breath),
        lung(grid, anatomy, 1, projection.breath),
    )
    air = [
        pneumothorax.free_air(grid, crescent, lungs[0 if crescent.side < 0 else 1])
        for crescent in crescents
    ]
    brightness = _brightness(grid, anatomy, projection, lungs, air, rng)
    posed = pose(brightness, projection, size, outside=-1.0)
    masks = [
        (pose(air_field.field, projection, size, outside=-1.0) > 0).astype(np.uint8)
        for air_field in air
    ]
    return Phantom(expose(posed, projection, rng), tuple(masks))


def lung_masks(anatomy: Anatomy, projection: Projection, size: int) -> tuple[ByteImage, ByteImage]:
    """Return the masks of the lungs in the left and right half of a phantom without pneumothorax.

    Both are (size, size) uint8 of 0 and 1. They cover the visible lung, as annotators outline it:
    not the parts behind the heart or below the domes of the diaphragm.
    """
    grid = Grid.of(int(np.clip(size, _SMALLEST_SIDE, _LARGEST_SIDE)))
    floor = anatomy.top + 0.86 * (anatomy.bottom - anatomy.top) * projection.breath
    heart = thorax.heart(grid, anatomy, projection, floor)

    def mask(side: int) -> ByteImage:
        seen = lung(grid, anatomy, side, projection.breath).depth
        seen = np.where(heart > 0.5, np.float32(-1), seen)
        return (pose(seen, projection, size, outside=-1.0) > 0).astype(np.uint8)

    return mask(-1), mask(1)


def synthetic_example(seed: int, index: int, size: int) -> tuple[ByteImage, ByteImage]:
    """Return one image and its mask, both (size, size) uint8; every fourth index has a mask.

    >>> image, mask = synthetic_example(seed=0, index=0, size=128)
    >>> image.shape, bool(mask.any())
    ((128, 128), True)
    """
    rng = np.random.default_rng([seed, index])
    anatomy, projection = draw_anatomy(rng), draw_projection(rng)
    crescents: tuple[Crescent, ...] = ()
    if index % 4 == 0:
        severity = (0.5 + _GOLDEN_RATIO * (index // 4)) % 1.0
        parts = 2 if index % 20 == 8 else 1
        crescents = draw_crescents(rng, severity, parts, anatomy.ill_side)
    phantom = render_phantom(anatomy, projection, crescents, size, rng)
    return phantom.image, phantom.mask()


def _brightness(
    grid: Grid,
    anatomy: Anatomy,
    projection: Projection,
    lungs: tuple[Lung, Lung],
    free: list[FreeAir],
    rng: np.random.Generator,
) -> FloatImage:
    """Return the brightness (R, R), about 0 to 1, before pose and exposure."""
    floor = anatomy.top + 0.86 * (anatomy.bottom - anatomy.top) * projection.breath
    heart = thorax.heart(grid, anatomy, projection, floor)
    below = thorax.abdomen(grid, floor)
    air = lungs[0].air + lungs[1].air
    bulk = np.float32(anatomy.bulk)
    present, chord = thorax.body(grid, anatomy, projection)
    lucency = np.float32(0.37 if projection.view == "AP" else 0.44) - np.float32(0.08) * bulk
    out = 0.20 + 0.40 * chord + 0.06 * bulk + 0.16 * below
    out -= air * lucency * (1 - 0.5 * below) * (1 - 0.75 * heart)
    out += 0.20 * thorax.mediastinum(grid, anatomy, lungs) * (1 - 0.5 * below) + 0.06 * heart
    out += (0.05 + 0.06 * bulk) * thorax.breasts(grid, anatomy, floor)
    out += 0.13 * thorax.ribs(grid, anatomy, lungs) * (1 - 0.6 * below) * (1 - 0.6 * heart)
    out += 0.10 * thorax.collar_bones(grid, anatomy)
    if rng.random() < 0.6:
        out -= 0.20 * thorax.stomach_gas(grid, floor, rng) * (1 - air)
    if projection.lines:
        out += 0.16 * thorax.lines(grid, projection.lines, rng)
    looks = pneumothorax.draw_look_alikes(rng, grid, lungs)
    texture = _texture(grid, anatomy, lungs, rng) * (1 - 0.8 * heart)
    out += _lung_content(air, texture, free, looks)
    return np.asarray(0.03 + (out - 0.03) * present, dtype=np.float32)


def _texture(
    grid: Grid, anatomy: Anatomy, lungs: tuple[Lung, Lung], rng: np.random.Generator
) -> FloatImage:
    """Return the brightness (R, R) that vessels and fine structure add to a lung."""
    grain = rng.standard_normal((grid.side, grid.side), dtype=np.float32)
    blur = grid.side * 0.004
    fine = cv2.GaussianBlur(grain, (0, 0), blur) * np.float32(3.5 * blur)
    return np.asarray(0.17 * vessels(grid, anatomy, lungs) + 0.018 * fine, dtype=np.float32)


def _lung_content(
    air: FloatImage, texture: FloatImage, free: list[FreeAir], looks: LookAlikes
) -> FloatImage:
    """Return the brightness (R, R) that texture and findings add to the lungs."""
    gone, darker, line = (np.zeros_like(air) for _ in range(3))
    for air_field in free:
        inside = smooth_step(air_field.field, -0.002, 0.006)
        gone = np.maximum(gone, inside)
        darker = np.maximum(darker, inside * np.float32(air_field.contrast))
        line = np.maximum(line, air_field.line)
    out = air * (1 - gone) * (1 - looks.bare) * texture
    out -= air * (0.115 * darker + 0.06 * looks.dark * (1 - gone))
    out += 0.10 * line + 0.07 * looks.line * air
    return np.asarray(out, dtype=np.float32)
