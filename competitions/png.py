"""PNG pixels, decoded by libpng through imagecodecs, which raises where OpenCV prints."""

from __future__ import annotations

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.codestream import Claim, UnreadableError, png_without_extras

_GRAY, _GRAY_ALPHA = 1, 2
_INTERLACE = 28  # the byte that is not 0 in interlaced files


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
    plain = png_without_extras(data)  # libpng prints complaints of many further chunks
    try:
        decoded = _interlaced(plain) if data[_INTERLACE] else imagecodecs.png_decode(plain)
    except (RuntimeError, ValueError, MemoryError, cv2.error) as error:
        raise UnreadableError("the PNG is damaged and cannot be decoded") from error
    if decoded is None or decoded.shape[:2] != (claim.height, claim.width):
        raise UnreadableError("the PNG is damaged and cannot be decoded")
    if claim.channels == _GRAY and decoded.ndim == 3:
        decoded = decoded[..., 0]
    elif claim.channels == _GRAY_ALPHA and decoded.shape[2] == 2:
        decoded = decoded[..., [0, 0, 0, 1]]
    return np.asarray(decoded)


def _interlaced(data: bytes) -> NDArray[np.uint8 | np.uint16] | None:
    """Return the pixels of an interlaced file by OpenCV: imagecodecs prints a warning of each."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.ndim == 2:
        return decoded
    swap = cv2.COLOR_BGRA2RGBA if decoded.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(decoded, swap))
