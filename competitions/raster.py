"""PNG, JPEG, TIFF, GIF, BMP and WEBP files: what they claim, and their pixels."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from goldfold.competitions.codestream import (
    LEAVE_OUT,
    Claim,
    UndecidedError,
    UnreadableError,
    jpeg_claim,
    png_claim,
    require_plausible_size,
    require_whole_jpeg,
    require_whole_png,
)
from goldfold.competitions.jpeg import decode_jpeg, require_known_jpeg
from goldfold.competitions.pillow_raster import decode_by_pillow, exif_orientation, pillow_claim
from goldfold.competitions.png import decode_png
from goldfold.competitions.raster_levels import raster_levels
from goldfold.competitions.reading import PLAIN, Reading
from goldfold.competitions.stored import Stored
from goldfold.competitions.tiff import decode_tiff, tiff_claim
from goldfold.vocabulary import Pages

_HEAD_BYTES = 1 << 16
_TAIL_BYTES = 64
_PALETTE_TYPE = 3  # PNG's colour type at byte 25


def raster_claim(file: BinaryIO, kind: str) -> Claim:
    """Return what a file claims, after checking as far as headers tell that it is complete.

    The entire file is read only if size or end marker of a PNG or JPEG are not where they usually
    are, or if it is a GIF, BMP or WEBP.
    """
    if kind == "TIFF":
        return tiff_claim(file)
    if kind not in ("PNG", "JPEG"):
        return pillow_claim(file, kind)
    head = file.read(_HEAD_BYTES)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL_BYTES, 0))
    tail = file.read()
    try:
        claim = png_claim(head) if kind == "PNG" else jpeg_claim(head)
        complete = tail.endswith(b"IEND\xaeB`\x82" if kind == "PNG" else b"\xff\xd9")
    except UnreadableError:
        complete = False
    if not complete:
        file.seek(0)
        claim = _checked_claim(file.read(), kind)
    require_plausible_size(claim.height, claim.width)
    if kind == "PNG":
        return claim
    require_known_jpeg(claim)
    return replace(claim, orientation=exif_orientation(head))


def _checked_claim(data: bytes, kind: str) -> Claim:
    """Return what the bytes of a complete PNG or JPEG file claim."""
    claim = png_claim(data) if kind == "PNG" else jpeg_claim(data)
    require_plausible_size(claim.height, claim.width)
    if kind == "PNG":
        require_whole_png(data)
    else:
        require_whole_jpeg(data)
    return claim


def require_one_picture(pictures: int, pages: Pages) -> None:
    """Raise an error unless a file has one picture, or the first is to be read.

    Raises:
        UnreadableError: it has several pages or frames.
    """
    if pictures > 1 and pages != "first":
        raise UndecidedError(
            f"it has {pictures:,} pages or frames, and an image is one picture",
            'Set competition.images.pages = "first" to read the first of each file, write one file '
            f"per page, or {LEAVE_OUT}.",
        )


def decode_raster(
    data: bytes, kind: str, reading: Reading = PLAIN, bits: Literal[8, 16] = 8
) -> NDArray[np.uint8 | np.uint16]:
    """Return the levels of a file, (H, W) gray, (H, W, 3) RGB, or one channel per window.

    Args:
        data: the bytes of the file.
        kind: PNG, JPEG, TIFF, GIF, BMP or WEBP.
        reading: windows, stretch and pages.
        bits: bits of the levels; files of 8 bits have 8.

    Raises:
        UnreadableError: the file is damaged, or `reading` does not say what to do with it.
    """
    if kind == "PNG":
        claim = _checked_claim(data, kind)
        return raster_levels(decode_png(data, claim), max(8, claim.bits), reading, bits)
    stored = _decoded(data, kind, reading.pages)
    pixels, depth = stored.pixels, stored.bits
    if stored.palette is not None:
        pixels, depth = palette_colours(stored.pixels, stored.palette), 8
    elif depth < 8:
        pixels, depth = pixels * np.uint8(255 // (2**depth - 1)), 8
    return raster_levels(pixels, depth, reading, bits)


def decode_stored(data: bytes, kind: str, pages: Pages = "error") -> Stored:
    """Return the pixels of a file as they are stored.

    Gray of 1, 2 or 4 bits keeps its low levels, a palette its indices, and transparency is kept.

    Raises:
        UnreadableError: the file is damaged.
    """
    if kind != "PNG":
        return _decoded(data, kind, pages)
    claim = _checked_claim(data, kind)
    if data[25] == _PALETTE_TYPE:
        return _palette_indices(data)
    pixels = decode_png(data, claim)
    if claim.bits < 8:  # they were spread to 0 to 255
        pixels = pixels // np.uint8(255 // (2**claim.bits - 1))
    return Stored(pixels, kind, None, claim.bits)


def _decoded(data: bytes, kind: str, pages: Pages) -> Stored:
    """Return the stored pixels of anything but PNG."""
    if kind == "JPEG":
        return Stored(decode_jpeg(data, _checked_claim(data, kind)), kind, lossy=True)
    claim = raster_claim(io.BytesIO(data), kind)
    require_one_picture(claim.pictures, pages)
    return decode_tiff(io.BytesIO(data)) if kind == "TIFF" else decode_by_pillow(data, kind)


def _palette_indices(data: bytes) -> Stored:
    """Return palette and indices of a PNG, which `decode_png` would convert to colours."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            indices = np.asarray(image, np.uint8)
            colours = np.array(image.getpalette("RGB"), int).reshape(-1, 3).tolist()
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableError("the PNG is damaged and cannot be decoded") from error
    return Stored(indices, "PNG", tuple((red, green, blue) for red, green, blue in colours))


def palette_colours(
    indices: NDArray[Any], palette: tuple[tuple[int, int, int], ...]
) -> NDArray[np.uint8]:
    """Return the colours of palette indices, (H, W, 3); black beyond the end of the palette."""
    table = np.zeros((max(len(palette), int(indices.max()) + 1), 3), np.uint8)
    table[: len(palette)] = palette
    coloured: NDArray[np.uint8] = table[indices]
    return coloured
