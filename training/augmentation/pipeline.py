"""Augmentation: one sampling map for the geometry, one lookup table for the tones, then pixels.

What an image looks like in an epoch follows from (seed, epoch, index) alone: not from the
worker that makes it, nor from the images made before.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.augmentation_levels import Recipe
from goldfold.image_size import ImageSize, SizeLike, height_and_width
from goldfold.training.augmentation.changes import Draw, draw
from goldfold.training.augmentation.pixel_changes import NOTHING, change_pixels
from goldfold.training.augmentation.warp import Window, warp_image_and_mask

Pixels = NDArray[np.uint8]


def augment(
    image: Pixels,
    mask: Pixels,
    recipe: Recipe,
    seed: int,
    epoch: int,
    index: int,
    size: SizeLike | None = None,
    *,
    crop: SizeLike | None = None,
    soft: bool = False,
    classes: bool = False,
    mirror: Sequence[int] = (),
) -> tuple[Pixels, Pixels]:
    """Return the image and its mask, changed alike; both are new arrays.

    Args:
        image: (H, W) or (H, W, C) uint8.
        mask: (H, W) or (C, H, W) uint8, 0 or 1; with `soft` coverage of 0 to 255; with `classes`
            (H, W) of class numbers.
        recipe: what may happen.
        seed: of the run, not negative.
        epoch: from 0.
        index: of the image.
        size: of the whole result, a side or (height, width); the image's own unless given. Down to
            half the image's size the bilinear sampling sees every pixel.
        crop: of a random cut out of the result that is returned instead, likewise.
        soft: leave the mask's values between 0 and 255 as the interpolation gives them.
        classes: the mask holds the class of each pixel, which no interpolation may mix.
        mirror: for each of C masks or classes the place of the one that a mirror makes of it; () if
            all stay.
    """
    whole = height_and_width(image.shape[:2] if size is None else size)
    changes = draw(recipe, seed, epoch, index, size=whole, crop=crop)
    mask = traded(mask, changes, mirror, classes=classes)
    return apply(image, mask, changes, whole, crop=crop, soft=soft, classes=classes)


def traded(mask: Pixels, changes: Draw, mirror: Sequence[int], *, classes: bool = False) -> Pixels:
    """Return an image's masks, or its class numbers, as they are after these changes.

    A mirrored left lung looks like a right one; upside down each stays on its side of the image.
    """
    if not mirror or not changes.warp.flip:
        return mask
    if not classes:
        return mask[list(mirror)]
    other = np.arange(256, dtype=np.uint8)
    other[: len(mirror)] = mirror
    traded_numbers: Pixels = other[mask]
    return traded_numbers


def apply(
    image: Pixels,
    mask: Pixels,
    changes: Draw,
    size: SizeLike,
    *,
    crop: SizeLike | None = None,
    soft: bool = False,
    classes: bool = False,
) -> tuple[Pixels, Pixels]:
    """Return image and mask after these changes; arguments as in `augment`."""
    whole = height_and_width(size)
    window = _window(changes, whole, crop)
    if changes.warp.is_identity and image.shape[:2] == whole:
        rows, columns = window.slices
        image, mask = np.array(image[rows, columns]), np.array(mask[..., rows, columns])
    else:
        image, mask = warp_image_and_mask(
            image, mask, changes.warp, whole, window=window, soft=soft, classes=classes
        )
    toned = image if changes.tones is None else cv2.LUT(image, changes.tones)
    if changes.pixels is NOTHING:
        return toned, mask
    return change_pixels(toned, mask, changes.pixels)


def _window(changes: Draw, whole: ImageSize, crop: SizeLike | None) -> Window:
    if changes.corner is None or crop is None:
        return Window(0, 0, *whole)
    return Window(*changes.corner, *height_and_width(crop))
