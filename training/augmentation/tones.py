"""Brightness, contrast and gamma as one lookup table."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from goldfold.augmentation_levels import Recipe


def draw_tones(recipe: Recipe, random: np.random.Generator) -> NDArray[np.uint8] | None:
    """Return a random lookup table (256,) uint8 within the recipe's limits, None for no change."""
    changed = random.random() < recipe.tone
    places = random.uniform(-1.0, 1.0, 3)
    if recipe.one_tone:
        places = places * (np.arange(3) == random.integers(3))
    if not changed:
        return None
    brightness, contrast, gamma = places.tolist()
    return tone_table(
        recipe.brightness * brightness,
        1 + recipe.contrast * contrast,
        math.exp(gamma * math.log1p(recipe.gamma)),
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
