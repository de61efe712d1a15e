"""GIF, BMP and WEBP files, read by pillow: the first picture, and how many there are."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from PIL import Image

from goldfold.competitions.codestream import Claim, UnreadableError, require_plausible_size
from goldfold.competitions.pydicom_silence import PYDICOM_SILENCE
from goldfold.competitions.stored import Stored

_ORIENTATION = 0x0112
_CHANNELS = {"1": 1, "L": 1, "P": 3, "LA": 2, "PA": 4, "RGB": 3, "RGBX": 4, "RGBA": 4}


def pillow_claim(file: BinaryIO, kind: str) -> Claim:
    """Return what the first picture of a GIF, BMP or WEBP file claims.

    Raises:
        UnreadableError: it is damaged, too large, or of a kind that is not read.
    """
    with _opened(file, kind) as image:
        return _claim(image)


def decode_by_pillow(data: bytes, kind: str) -> Stored:
    """Return the first picture of a GIF, BMP or WEBP file: gray, palette indices, RGB or RGBA.

    Raises:
        UnreadableError: as `pillow_claim`, or the pixels cannot be decoded.
    """
    with _opened(io.BytesIO(data), kind) as image:
        claim = _claim(image)
        image.load()
        lossy = kind == "WEBP" and b"VP8L" not in data[: 1 << 16]
        if image.mode == "P":
            colours = np.array(image.getpalette("RGB"), int).reshape(-1, 3).tolist()
            palette = tuple((red, green, blue) for red, green, blue in colours)
            return Stored(np.array(image, np.uint8), kind, palette)
        plain = {"LA": "L", "PA": "RGBA", "RGBX": "RGB"}.get(image.mode)
        pixels = np.array(image.convert(plain) if plain else image, np.uint8)
        return Stored(pixels, kind, None, claim.bits, lossy)


def exif_orientation(data: bytes) -> int:
    """Return the orientation in the EXIF data of a JPEG file, 1 (upright) where there is none.

    Args:
        data: the file, or its start up to the pixels.
    """
    if b"Exif\0\0" not in data:
        return 1
    try:
        with PYDICOM_SILENCE, Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # EXIF data that cannot be read turn nothing
        return 1


@contextmanager
def _opened(file: BinaryIO, kind: str) -> Iterator[Image.Image]:
    """Open a picture; whatever pillow raises becomes an UnreadableError."""
    try:
        with PYDICOM_SILENCE, Image.open(file, formats=[kind]) as image:
            yield image
    except UnreadableError:
        raise
    except Exception as error:  # a parser that meets broken bytes may raise anything
        words = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableError(f"the {kind} is damaged and cannot be decoded ({words})") from error


def _claim(image: Image.Image) -> Claim:
    require_plausible_size(image.height, image.width)
    if image.mode not in _CHANNELS:
        raise UnreadableError(
            f"its pixels are {image.mode}; expected gray, RGB or a palette", "Convert it to PNG."
        )
    turned = int(image.getexif().get(_ORIENTATION, 1)) if image.format == "WEBP" else 1
    bits = 1 if image.mode == "1" else 8
    frames = int(getattr(image, "n_frames", 1))
    return Claim(image.height, image.width, _CHANNELS[image.mode], bits, frames, turned)
