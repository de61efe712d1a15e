"""What happens to one image in one epoch, drawn from (seed, epoch, index) alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from goldfold.augmentation_levels import Recipe
from goldfold.image_size import ImageSize, SizeLike, height_and_width
from goldfold.training.augmentation.pixel_changes import NOTHING, PixelChanges, draw_pixel_changes
from goldfold.training.augmentation.tones import draw_tones
from goldfold.training.augmentation.warp import Warp

# Keeps these random numbers apart from the sampler's of the same seed.
_STREAM = 2
_VERTICAL = 7


@dataclass(frozen=True)
class Draw:
    """The changes of one image.

    Attributes:
        warp: of the geometry.
        tones: lookup table (256,) uint8, None for no change.
        corner: (top, left) of the crop in pixels of the whole result, None for no crop.
        pixels: blur, noise, rectangles and the user's own steps, which follow the tones.
    """

    warp: Warp
    tones: NDArray[np.uint8] | None = None
    corner: tuple[int, int] | None = None
    pixels: PixelChanges = NOTHING


def draw(
    recipe: Recipe,
    seed: int,
    epoch: int,
    index: int,
    *,
    size: SizeLike,
    crop: SizeLike | None = None,
) -> Draw:
    """Return the changes of an image in an epoch.

    Args:
        recipe: what may happen.
        seed: of the run, not negative.
        epoch: from 0.
        index: of the image.
        size: of the whole result: a side, or (height, width).
        crop: of what is cut out of it, likewise.
    """
    random = np.random.default_rng((seed, _STREAM, epoch, index))
    warp, tones = draw_warp(recipe, random), draw_tones(recipe, random)
    corner = None
    if crop is not None and height_and_width(crop) != height_and_width(size):
        corner = _draw_corner(height_and_width(size), height_and_width(crop), random)
    # Streams of their own: the draws of recipes without these stay what they were.
    if recipe.vertical_flip > 0:
        upright = np.random.default_rng((seed, _VERTICAL, epoch, index)).random()
        warp = replace(warp, vertical_flip=bool(upright < recipe.vertical_flip))
    return Draw(warp, tones, corner, draw_pixel_changes(recipe, (seed, epoch, index)))


def _draw_corner(whole: ImageSize, crop: ImageSize, random: np.random.Generator) -> tuple[int, int]:
    """Return top and left of a cut; it lies within the image."""
    free = [whole[0] - crop[0], whole[1] - crop[1]]
    if free[0] == free[1]:
        top, left = random.integers(0, free[0] + 1, 2).tolist()
    else:
        top, left = (int(random.integers(0, max(0, margin) + 1)) for margin in free)
    return top, left


def draw_warp(recipe: Recipe, random: np.random.Generator) -> Warp:
    """Return a random geometric transform within the recipe's limits."""
    flip = bool(random.random() < recipe.flip)
    moved = random.random() < recipe.move
    right, down, scale, rotation = random.uniform(-1.0, 1.0, 4) * moved
    elastic, grid, optical = None, None, 0.0
    if random.random() < recipe.distort:
        match recipe.distortions[random.integers(len(recipe.distortions))]:
            case "elastic":
                knots = (2, recipe.knots, recipe.knots)
                elastic = random.uniform(-recipe.elastic, recipe.elastic, knots).astype(np.float32)
            case "grid":
                grid = _draw_grid(recipe, random)
            case "optical":
                optical = recipe.optical * float(random.uniform(-1.0, 1.0))
    return Warp(
        flip=flip,
        shift=(recipe.shift * right, recipe.shift * down),
        scale=math.exp(scale * math.log1p(recipe.scale)),
        rotation=recipe.rotation * rotation,
        elastic=elastic,
        grid=grid,
        optical=optical,
    )


def _draw_grid(recipe: Recipe, random: np.random.Generator) -> NDArray[np.float32]:
    """Return (2, cells + 1) displacements of the grid lines in x and y, 0 at both ends."""
    widths = 1 + random.uniform(-recipe.grid, recipe.grid, (2, recipe.cells))
    lines = np.cumsum(widths / widths.sum(axis=1, keepdims=True), axis=1)
    places = np.concatenate([np.zeros((2, 1)), lines], axis=1)
    moved: NDArray[np.float32] = (places - np.linspace(0, 1, recipe.cells + 1)).astype(np.float32)
    moved[:, -1] = 0.0
    return moved
