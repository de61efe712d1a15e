"""From the pixels of PNG, JPEG, TIFF, GIF, BMP and WEBP to levels of 8 or 16 bits."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.codestream import UndecidedError
from goldfold.competitions.reading import Reading
from goldfold.competitions.stretch import (
    count_patterns,
    range_of_counts,
    range_of_values,
    spread,
)
from goldfold.competitions.window import Window

Levels = NDArray[np.uint8 | np.uint16]

CHOOSE = (
    'Name the window that matters (images.windows = ["soft-tissue"] or ["40:400"]; --window of '
    '`images convert`), or stretch each image by itself (images.stretch = "percentile"; --stretch).'
)
"""What to do where levels mean something and nothing says which of them matter."""


def raster_levels(
    pixels: NDArray[Any], depth: int, reading: Reading, bits: Literal[8, 16] = 8
) -> Levels:
    """Return levels, uint8 or uint16: (H, W) gray, (H, W, 3) RGB, or one channel per window.

    Args:
        pixels: numbers, (H, W) gray, (H, W, 3) RGB or (H, W, 4) with transparency, which is
            dropped.
        depth: bits of a number.
        reading: windows and stretch.
        bits: bits of the levels; pixels of 8 bits have 8.

    Raises:
        UnreadableError: `reading` does not say what becomes black and white.
    """
    pixels = pixels[..., :3] if pixels.ndim == 3 else pixels
    most = 255 if bits == 8 or pixels.dtype == np.uint8 else 65535
    if reading.windows and pixels.ndim == 2 and pixels.dtype != np.uint8:
        seen = [_through(window, pixels, most) for window in reading.windows]
        return seen[0] if len(seen) == 1 else np.dstack(seen)
    whole = pixels.dtype.kind == "u" and depth <= 16
    if whole and reading.stretch in ("auto", "none"):
        return _of_bits(pixels, depth, most)
    if reading.stretch == "none":
        raise UndecidedError(
            f"its levels are {pixels.dtype}, which have no lowest and highest", CHOOSE
        )
    if reading.stretch == "auto" and reading.ask and (lowest := pixels.min()) < 0:
        raise UndecidedError(
            f"its levels go from {lowest:g} to {pixels.max():g}, so they mean something, as those "
            "of CT do, and nothing says which become black and white",
            CHOOSE,
        )
    return np.ascontiguousarray(spread(pixels, *_range(pixels, reading.limits), most))


def _range(pixels: NDArray[Any], limits: tuple[float, float]) -> tuple[float, float]:
    """Return the levels between which an image is spread."""
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
        size = int(np.iinfo(pixels.dtype).max) + 1
        return range_of_counts(np.arange(float(size)), count_patterns(pixels, size), limits)
    return range_of_values(pixels, limits)


def _of_bits(pixels: NDArray[Any], depth: int, most: int) -> Levels:
    """Return levels of `depth` bits spread over 0 to `most`, whatever the image has of them."""
    highest = 2**depth - 1
    if highest == most:
        return np.ascontiguousarray(pixels)
    wide = pixels.astype(np.uint32) * np.uint32(most)
    kind = np.uint8 if most == 255 else np.uint16
    return np.ascontiguousarray(((wide + highest // 2) // highest).astype(kind))


def _through(window: Window, pixels: NDArray[Any], most: int) -> Levels:
    """Return levels seen through a window; what is no number is black."""
    values = np.nan_to_num(pixels.astype(np.float64), nan=-np.inf)
    kind = np.uint8 if most == 255 else np.uint16
    return np.floor(window.fraction(values) * most + 0.5).astype(kind)
