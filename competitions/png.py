"""PNG pixels, decoded by libpng through imagecodecs, which raises where OpenCV prints."""

from __future__ import annotations

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.codestream import Claim, UnreadableError, png_without_extras

_GRAY, _GRAY_ALPHA = 1, 2


def decode_png(data: bytes, claim: Claim) -> NDArray[np.uint8 | np.uint16]:
    """Return the pixels of a PNG, (H, W) gray, (H, W, 3) RGB or (H, W, 4) RGBA.

    Fewer than 8 bits are spread to 8, and a palette becomes its colours. Gray with transparency has
    three equal colours; a single transparent level of gray is dropped.

    Args:
        data: a file whose chunks are whole.
        claim: what its header claims.

    Raises:
        UnreadableError: the pixels cannot be decoded.
    """
    try:
        # Further chunks say nothing of the levels, and libpng complains of many.
        decoded = imagecodecs.png_decode(png_without_extras(data))
    except (RuntimeError, ValueError, MemoryError) as error:
        raise UnreadableError("the PNG is damaged and cannot be decoded") from error
    if decoded.shape[:2] != (claim.height, claim.width):
        raise UnreadableError("the PNG is damaged and cannot be decoded")
    if claim.channels == _GRAY and decoded.ndim == 3:
        decoded = decoded[..., 0]
    elif claim.channels == _GRAY_ALPHA:
        decoded = decoded[..., [0, 0, 0, 1]]
    return np.asarray(decoded)
