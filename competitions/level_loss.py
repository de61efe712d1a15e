"""Images that keep so few gray levels that hardly anything can be seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.image import read_levels, read_stored
from goldfold.competitions.reading import Reading
from goldfold.errors import ImageError

FEW = 32
"""An image of fewer levels shows little, unless its file has no more."""
_MUCH = 2  # times as many levels in the file as are left of them


@dataclass(frozen=True)
class LevelLoss:
    """The levels of an image as a network sees it, and those of its file."""

    seen: int
    stored: int

    @property
    def lost(self) -> bool:
        """Whether the file has many more levels than are seen."""
        return self.seen < FEW and self.stored >= _MUCH * self.seen


def levels_kept(
    path: Path, levels: NDArray[np.uint8 | np.uint16], reading: Reading, below: Path | None = None
) -> LevelLoss:
    """Return how many levels an image has; the file is read again only if they are few.

    Args:
        path: the file.
        levels: what was read of it.
        reading: how it was read.
        below: folder relative to which messages name the file.
    """
    seen = count_levels(levels)
    if seen >= FEW:
        return LevelLoss(seen, seen)
    return LevelLoss(seen, _stored_levels(path, reading, below))


def _stored_levels(path: Path, reading: Reading, below: Path | None) -> int:
    """Return how many levels the file has, 0 where its levels are colours of a palette."""
    try:
        stored = read_stored(path, below, reading.pages)
        if stored.kind == "DICOM":  # which is read through its window, lowest to highest here
            return count_levels(read_levels(path, below, Reading(stretch="image"), 16))
    except ImageError:  # reported where the pixels are needed
        return 0
    return 0 if stored.palette is not None else count_levels(stored.pixels)


def count_levels(pixels: NDArray[Any]) -> int:
    """Return how many different numbers the pixels are, transparency left out.

    >>> count_levels(np.array([[0, 7], [7, 9]], np.uint8))
    3
    """
    shown = pixels[..., :3] if pixels.ndim == 3 else pixels
    if shown.dtype == np.uint8:
        flat = np.ascontiguousarray(shown).reshape(1, -1)
        return int(np.count_nonzero(cv2.calcHist([flat], [0], None, [256], [0, 256])))
    if shown.dtype == np.uint16:
        present = np.zeros(1 << 16, bool)
        present[shown.reshape(-1)] = True
        return int(np.count_nonzero(present))
    return int(np.unique(shown).size)
