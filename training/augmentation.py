"""Augmentation: one sampling map for the geometry, one lookup table for the tones.

What an image looks like in an epoch follows from (seed, epoch, index) alone: not from the
worker that makes it, nor from the images made before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError, did_you_mean
from goldfold.training.warp import Warp, warp_image_and_mask

# Keeps these random numbers apart from the sampler's of the same seed.
_STREAM = 2


@dataclass(frozen=True)
class Recipe:
    """How often and how far images are changed; probabilities are 0 to 1, 0 is never."""

    name: str
    flip: float = 0.0
    """Probability that left and right are exchanged."""
    move: float = 0.0
    """Probability of a shift, scaling and rotation, all three at once."""
    shift: float = 0.0
    """Largest shift to each side, as a fraction of the size."""
    scale: float = 0.0
    """Largest enlargement, 0.1 = by 1.1; reduction likewise, by 1 / 1.1."""
    rotation: float = 0.0
    """Largest rotation to each side in degrees."""
    bend: float = 0.0
    """Probability of an elastic deformation."""
    elastic: float = 0.0
    """Largest displacement of a knot, as a fraction of the size."""
    knots: int = 7
    """Knots of the elastic grid along each side."""
    tone: float = 0.0
    """Probability of a change of brightness, contrast and gamma, all three at once."""
    brightness: float = 0.0
    """Largest addition, as a fraction of the full range."""
    contrast: float = 0.0
    """Largest change of the slope about middle gray: 0.2 = between 0.8 and 1.2."""
    gamma: float = 0.0
    """Largest exponent, 0.2 = 1.2; the smallest likewise, 1 / 1.2."""


_LIGHT = Recipe(
    "light", flip=0.5, move=0.7, shift=0.06, scale=0.12, rotation=12.0,
    tone=0.5, brightness=0.1, contrast=0.15, gamma=0.15,
)  # fmt: skip
_STRONG = Recipe(
    "strong", flip=0.5, move=0.9, shift=0.1, scale=0.2, rotation=20.0, bend=0.4, elastic=0.025,
    tone=0.8, brightness=0.2, contrast=0.3, gamma=0.3,
)  # fmt: skip

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {r.name: r for r in (Recipe("none"), Recipe("flip", flip=0.5), _LIGHT, _STRONG)}
)


def get_recipe(name: str) -> Recipe:
    """Return the recipe of that name: none, flip, light or strong.

    Raises:
        InputError: there is none of that name.
    """
    if name in RECIPES:
        return RECIPES[name]
    hint = did_you_mean(name, RECIPES)
    raise InputError(
        f"unknown augmentation recipe {name!r}: choose one of {', '.join(RECIPES)}.{hint}"
    )


def augment(
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    recipe: Recipe,
    seed: int,
    epoch: int,
    index: int,
    size: int | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the image and its mask, changed alike; both are new arrays.

    Args:
        image: (S, S) or (S, S, 3) uint8.
        mask: (S, S) uint8, 0 or 1.
        recipe: what may happen.
        seed: of the run, not negative.
        epoch: from 0.
        index: of the image.
        size: height and width of the result; the image's own unless given. Down to half the
            image's size the bilinear sampling sees every pixel.
    """
    random = np.random.default_rng((seed, _STREAM, epoch, index))
    warp = draw_warp(recipe, random)
    table = draw_tones(recipe, random)
    target = image.shape[:2] if size is None else (size, size)
    if warp.is_identity and target == image.shape[:2]:
        image, mask = np.array(image), np.array(mask)
    else:
        image, mask = warp_image_and_mask(image, mask, warp, target)
    return image if table is None else cv2.LUT(image, table), mask


def draw_warp(recipe: Recipe, random: np.random.Generator) -> Warp:
    """Return a random geometric transform within the recipe's limits."""
    flip = bool(random.random() < recipe.flip)
    moved = random.random() < recipe.move
    right, down, scale, rotation = random.uniform(-1.0, 1.0, 4) * moved
    elastic = None
    if random.random() < recipe.bend:
        knots = random.uniform(-recipe.elastic, recipe.elastic, (2, recipe.knots, recipe.knots))
        elastic = knots.astype(np.float32)
    return Warp(
        flip=flip,
        shift=(recipe.shift * right, recipe.shift * down),
        scale=_around_one(recipe.scale, scale),
        rotation=recipe.rotation * rotation,
        elastic=elastic,
    )


def draw_tones(recipe: Recipe, random: np.random.Generator) -> NDArray[np.uint8] | None:
    """Return a random lookup table (256,) uint8 within the recipe's limits, None for no change."""
    changed = random.random() < recipe.tone
    brightness, contrast, gamma = random.uniform(-1.0, 1.0, 3)
    if not changed:
        return None
    return tone_table(
        recipe.brightness * brightness,
        1 + recipe.contrast * contrast,
        _around_one(recipe.gamma, gamma),
    )


def tone_table(brightness: float, contrast: float, gamma: float) -> NDArray[np.uint8]:
    """Return contrast (v^gamma - 1/2) + 1/2 + brightness for every gray value v, as (256,) uint8.

    Gray values count from 0 to 1 in the formula; the result is rounded and clipped to 0..255.

    >>> bool((tone_table(0.0, 1.0, 1.0) == np.arange(256)).all())
    True
    """
    value = np.linspace(0.0, 1.0, 256) ** gamma
    value = contrast * (value - 0.5) + 0.5 + brightness
    return np.clip(np.rint(255 * value), 0, 255).astype(np.uint8)


def _around_one(largest: float, place: float) -> float:
    """Return a factor from 1 / (1 + largest) to 1 + largest for a place from -1 to 1."""
    return math.exp(place * math.log1p(largest))
