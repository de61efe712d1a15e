"""Augmentation: one sampling map for the geometry, one lookup table for the tones.

What an image looks like in an epoch follows from (seed, epoch, index) alone: not from the
worker that makes it, nor from the images made before.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.training.augmentation.changes import Draw, draw
from goldfold.training.augmentation.recipe import Recipe
from goldfold.training.augmentation.warp import Window, warp_image_and_mask

Pixels = NDArray[np.uint8]


def augment(
    image: Pixels,
    mask: Pixels,
    recipe: Recipe,
    seed: int,
    epoch: int,
    index: int,
    size: int | None = None,
    *,
    crop: int | None = None,
    soft: bool = False,
    mirror: Sequence[int] = (),
) -> tuple[Pixels, Pixels]:
    """Return the image and its mask, changed alike; both are new arrays.

    Args:
        image: (S, S) or (S, S, 3) uint8.
        mask: (S, S) or (C, S, S) uint8, 0 or 1; with `soft` coverage of 0 to 255.
        recipe: what may happen.
        seed: of the run, not negative.
        epoch: from 0.
        index: of the image.
        size: height and width of the whole result; the image's own unless given. Down to half
            the image's size the bilinear sampling sees every pixel.
        crop: height and width of a random square of the result that is returned instead.
        soft: leave the mask's values between 0 and 255 as the interpolation gives them.
        mirror: for each of C masks the place of the one that a mirror makes of it; () if all stay.
    """
    whole = image.shape[0] if size is None else size
    changes = draw(recipe, seed, epoch, index, size=whole, crop=crop)
    return apply(image, traded(mask, changes, mirror), changes, whole, crop=crop, soft=soft)


def traded(mask: Pixels, changes: Draw, mirror: Sequence[int]) -> Pixels:
    """Return an image's masks in the places that they have after these changes.

    A mirrored left lung looks like a right one.
    """
    return mask[list(mirror)] if mirror and changes.warp.flip else mask


def apply(
    image: Pixels,
    mask: Pixels,
    changes: Draw,
    size: int,
    *,
    crop: int | None = None,
    soft: bool = False,
) -> tuple[Pixels, Pixels]:
    """Return image and mask after these changes; arguments as in `augment`."""
    window = _window(changes, size, crop)
    if changes.warp.is_identity and image.shape[0] == size:
        rows, columns = window.slices
        image, mask = np.array(image[rows, columns]), np.array(mask[..., rows, columns])
    else:
        image, mask = warp_image_and_mask(
            image, mask, changes.warp, (size, size), window=window, soft=soft
        )
    return image if changes.tones is None else cv2.LUT(image, changes.tones), mask


def _window(changes: Draw, size: int, crop: int | None) -> Window:
    if changes.corner is None or crop is None:
        return Window(0, 0, size, size)
    return Window(*changes.corner, crop, crop)
