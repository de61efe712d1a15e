"""True masks whose ignored pixels count neither as predicted nor as true."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.rle import Dialect, decode

IGNORED_PIXEL = 255
"""Value of a pixel in a true mask that neither loss nor metric looks at."""


def decode_truth(
    text: str, ignored: str, height: int, width: int, dialect: Dialect
) -> NDArray[np.uint8] | None:
    """Return a true mask, uint8 (H, W) of 0, 1 and `IGNORED_PIXEL`; None where all pixels are 0.

    Args:
        text: run-length encoding of the mask, "" for an empty one.
        ignored: that of the ignored pixels, "" for none.
        height: of the image, in pixels.
        width: of the image, in pixels.
        dialect: of the encodings.

    Raises:
        RunLengthError: an encoding is malformed or does not fit into the image.
    """
    if not ignored:
        return decode(text, height, width, dialect) if text else None
    truth = decode(text, height, width, dialect) if text else np.zeros((height, width), np.uint8)
    truth[decode(ignored, height, width, dialect) > 0] = IGNORED_PIXEL
    return truth


def split_truth(
    truth: NDArray[np.uint8] | None,
) -> tuple[NDArray[Any] | None, NDArray[np.bool_] | None]:
    """Return the mask, and the ignored pixels; None each where there is no such pixel."""
    if truth is None:
        return None, None
    ignored = truth == IGNORED_PIXEL
    return (truth == 1, ignored) if ignored.any() else (truth, None)


def outside_ignored(
    pixels: NDArray[np.uint8], ignored: NDArray[np.bool_] | None
) -> NDArray[np.uint8]:
    """Return levels or a mask (H, W), 0 at ignored pixels: nothing is predicted there."""
    return pixels if ignored is None else np.where(ignored, np.uint8(0), pixels)
