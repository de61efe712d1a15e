"""What happens to pixels after the geometry and the tones: blur, noise, rectangles, own steps.

All of it follows from (seed, epoch, index), from streams of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.augmentation_levels import Recipe
from goldfold.training.augmentation.own_step import take_step

Pixels = NDArray[np.uint8]
Rectangle = tuple[float, float, float, float]

# Keep these random numbers apart from each other's and from the sampler's of the same seed.
_CHANGES, _NOISE, _STEP = 8, 9, 10
_SMALLEST = 0.25
"""Smallest side of a rectangle, as a fraction of the largest."""


@dataclass(frozen=True)
class PixelChanges:
    """The changes of one image.

    Attributes:
        blur: standard deviation in pixels, 0 for none.
        noise: standard deviation in gray levels, 0 for none.
        holes: rectangles that become black: top, left, height and width as fractions.
        steps: bound references of the user's own steps.
        key: (seed, epoch, index) of noise and steps.
    """

    blur: float = 0.0
    noise: float = 0.0
    holes: tuple[Rectangle, ...] = ()
    steps: tuple[str, ...] = ()
    key: tuple[int, int, int] = (0, 0, 0)


NOTHING = PixelChanges()


def draw_pixel_changes(recipe: Recipe, key: tuple[int, int, int]) -> PixelChanges:
    """Return random changes within the recipe's limits, `NOTHING` where it has none.

    Args:
        recipe: what may happen.
        key: seed, epoch and index of the image.
    """
    if not (recipe.blur or recipe.noise or recipe.cutout or recipe.steps):
        return NOTHING
    seed, epoch, index = key
    random = np.random.default_rng((seed, _CHANGES, epoch, index))
    # All is drawn whether it happens or not, so that one number changes nothing of the others.
    blurred, noisy, cut = (random.random(3) < (recipe.blur, recipe.noise, recipe.cutout)).tolist()
    blur, noise = random.random(2).tolist()
    count = int(random.integers(1, recipe.cutout_holes + 1))
    holes = tuple(_hole(recipe.cutout_size, random) for _ in range(count)) if cut else ()
    return PixelChanges(
        blur=blur * recipe.blur_sigma if blurred else 0.0,
        noise=noise * recipe.noise_sigma * 255 if noisy else 0.0,
        holes=holes,
        steps=recipe.steps,
        key=key,
    )


def _hole(largest: float, random: np.random.Generator) -> Rectangle:
    """Return a rectangle inside the image."""
    height, width = random.uniform(_SMALLEST * largest, largest, 2).tolist()
    top, left = random.random(2).tolist()
    return top * (1 - height), left * (1 - width), height, width


def change_pixels(image: Pixels, mask: Pixels, changes: PixelChanges) -> tuple[Pixels, Pixels]:
    """Return the image and its mask after these changes; only own steps change the mask.

    Args:
        image: uint8 (H, W) or (H, W, C); it may be written to.
        mask: uint8 (H, W) or (C, H, W).
        changes: of the image.

    Raises:
        InputError: a step of the user's own fails or returns something else than it should.
    """
    if changes.blur > 0:
        image = blurred(image, changes.blur)
    if changes.noise > 0:
        random = np.random.default_rng(_stream(_NOISE, changes))
        noise = random.normal(0.0, changes.noise, image.shape[:2]).astype(np.float32)
        values = image + (noise if image.ndim == 2 else noise[:, :, None])
        image = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    for hole in changes.holes:
        image[place_of(hole, image.shape[:2])] = 0
    for number, step in enumerate(changes.steps):
        random = np.random.default_rng((*_stream(_STEP, changes), number))
        image, mask = take_step(step, image, mask, random)
    return image, mask


def _stream(number: int, changes: PixelChanges) -> tuple[int, ...]:
    seed, epoch, index = changes.key
    return seed, number, epoch, index


def blurred(image: Pixels, sigma: float) -> Pixels:
    """Return the image after a Gaussian blur, mirrored about the middle of the border's pixels.

    Args:
        image: uint8 (H, W) or (H, W, C).
        sigma: standard deviation in pixels, above 0.
    """
    kernel = blur_kernel(sigma, min(image.shape[:2]))
    smooth: Pixels = cv2.sepFilter2D(
        image, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT_101
    )
    return np.clip(np.rint(smooth), 0, 255).astype(np.uint8)


def blur_kernel(sigma: float, shortest: int) -> NDArray[np.float32]:
    """Return the weights of a Gaussian blur along one axis, (2 r + 1,), their sum 1.

    Args:
        sigma: standard deviation in pixels.
        shortest: side of the image; r stays below it, as the border is mirrored once.
    """
    radius = min(max(1, math.ceil(3 * sigma)), shortest - 1)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / max(sigma, 1e-3)) ** 2)
    kernel: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return kernel


def place_of(hole: Rectangle, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns of a rectangle in an image, of at least one pixel.

    >>> place_of((0.5, 0.25, 0.5, 0.5), (8, 8))
    (slice(4, 8, None), slice(2, 6, None))
    """
    slices = []
    for start, length, side in zip(hole[:2], hole[2:], shape[:2], strict=True):
        first = min(round(start * side), side - 1)
        slices.append(slice(first, min(side, first + max(1, round(length * side)))))
    return slices[0], slices[1]
