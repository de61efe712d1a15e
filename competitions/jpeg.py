"""JPEG pixels, decoded by libjpeg-turbo, whose warnings about damaged data are errors here.

Other decoders (OpenCV, pillow) fill what is missing with gray and say nothing, or print to the
terminal without naming the file.
"""

from __future__ import annotations

import io

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from goldfold.competitions.codestream import Claim, UnreadableError, require_whole_jpeg
from goldfold.competitions.pydicom_silence import PYDICOM_SILENCE

# Pillow decodes the file then: rare versions, and subsampling that only libjpeg knows.
_HARMLESS = (
    "unknown JFIF revision number",
    "Unknown Adobe color transform code",
    "Could not determine subsampling",
)
_MODES = {1: "L", 3: "RGB"}


def require_known_jpeg(claim: Claim) -> None:
    """Raise an error unless a JPEG of this kind can be decoded.

    Raises:
        UnreadableError: it is CMYK, or has other than 8 bits.
    """
    if claim.channels not in _MODES:
        raise UnreadableError(
            f"the JPEG has {claim.channels} channels, as CMYK has; expected gray or RGB",
            'Convert it, for instance with pillow: Image.open(path).convert("RGB").save(path).',
        )
    if claim.bits != 8:
        raise UnreadableError(
            f"the JPEG has {claim.bits} bits; expected 8", "Convert it to 16-bit PNG."
        )


def decode_jpeg(data: bytes, claim: Claim) -> NDArray[np.uint8]:
    """Return the pixels of a JPEG, (H, W) gray or (H, W, 3) RGB.

    Args:
        data: the file or the frame.
        claim: what its header claims.

    Raises:
        UnreadableError: it is truncated, damaged, CMYK, or of other than 8 bits.
    """
    require_known_jpeg(claim)
    require_whole_jpeg(data)
    try:
        pixels = _decoded(data, _MODES[claim.channels])
    except (ValueError, RuntimeError, OSError, SyntaxError) as error:
        words = " ".join(str(error).split())
        raise UnreadableError(f"the JPEG is damaged and cannot be decoded ({words})") from error
    if pixels.shape[:2] != (claim.height, claim.width):
        raise UnreadableError("the JPEG is damaged and cannot be decoded")
    return pixels


def _decoded(data: bytes, mode: str) -> NDArray[np.uint8]:
    """Return the pixels, (H, W) for mode L; raise ValueError with libjpeg's words if damaged."""
    colour = "GRAY" if mode == "L" else "RGB"
    try:
        pixels = simplejpeg.decode_jpeg(data, colorspace=colour, strict=True)
    except ValueError as error:
        if not any(words in str(error) for words in _HARMLESS):
            raise
        with PYDICOM_SILENCE, Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return np.array(image.convert(mode))
    return np.asarray(pixels[..., 0] if mode == "L" else pixels)
