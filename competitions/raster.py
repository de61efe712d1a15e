"""PNG and JPEG files: the size they claim, and their pixels, decoded by OpenCV."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from goldfold.competitions.codestream import (
    Claim,
    UnreadableError,
    jpeg_claim,
    png_claim,
    require_plausible_size,
    require_whole_jpeg,
    require_whole_png,
)

_HEAD_BYTES = 1 << 16
_TAIL_BYTES = 64
_PALETTE_TYPE = 3  # PNG's colour type at byte 25


@dataclass(frozen=True)
class Stored:
    """Pixels as the file stores them.

    Attributes:
        pixels: uint8, uint16, int32 or float32; (H, W) gray levels or palette indices, (H, W, 3)
            RGB or (H, W, 4) RGBA.
        kind: DICOM, PNG, JPEG, TIFF, GIF, BMP or WEBP.
        palette: red, green and blue of each index, if the pixels are indices.
    """

    pixels: NDArray[Any]
    kind: str
    palette: tuple[tuple[int, int, int], ...] | None = None


def raster_claim(file: BinaryIO, kind: str) -> Claim:
    """Return what a PNG or JPEG file claims, after checking that it is complete.

    The entire file is read only if the size or the end marker is not where it usually is.
    """
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
        return _checked_claim(file.read(), kind)
    require_plausible_size(claim.height, claim.width)
    return claim


def _checked_claim(data: bytes, kind: str) -> Claim:
    """Return what the bytes of a complete PNG or JPEG file claim."""
    claim = png_claim(data) if kind == "PNG" else jpeg_claim(data)
    require_plausible_size(claim.height, claim.width)
    if kind == "PNG":
        require_whole_png(data)
    else:
        require_whole_jpeg(data)
    return claim


def decode_raster(
    data: bytes, kind: str, bits: Literal[8, 16] = 8, stretch: bool = False
) -> NDArray[np.uint8 | np.uint16]:
    """Return the pixels of a PNG or JPEG file, (H, W) gray or (H, W, 3) RGB.

    A 16-bit PNG keeps its levels if 16 bits are requested.
    """
    decoded = _decoded(data, kind, _checked_claim(data, kind))
    if stretch and bits == 8:
        decoded = _stretched(decoded)
    if decoded.dtype == np.uint16 and bits == 8:
        decoded = ((decoded.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(decoded[..., :3] if decoded.ndim == 3 else decoded)


def decode_stored(data: bytes, kind: str) -> Stored:
    """Return the pixels of a PNG or JPEG file as they are stored.

    Gray of 1, 2 or 4 bits keeps its low levels, a palette its indices, and transparency is kept.

    Raises:
        UnreadableError: the file is damaged.
    """
    claim = _checked_claim(data, kind)
    if kind == "PNG" and data[25] == _PALETTE_TYPE:
        return _palette_indices(data)
    pixels = _decoded(data, kind, claim)
    if claim.bits < 8:  # OpenCV has scaled them to 0 to 255
        pixels = pixels // np.uint8(255 // (2**claim.bits - 1))
    return Stored(pixels, kind)


def _palette_indices(data: bytes) -> Stored:
    """Return palette and indices of a PNG, which OpenCV would convert to colours."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            indices = np.asarray(image, np.uint8)
            colours = np.array(image.getpalette("RGB"), int).reshape(-1, 3).tolist()
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableError("the PNG is damaged and cannot be decoded") from error
    return Stored(indices, "PNG", tuple((red, green, blue) for red, green, blue in colours))


def _decoded(data: bytes, kind: str, claim: Claim) -> NDArray[np.uint8 | np.uint16]:
    """Return (H, W) gray, (H, W, 3) RGB or (H, W, 4) RGBA."""
    try:
        decoded = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadableError(f"the {kind} is damaged and cannot be decoded") from error
    if decoded is None or decoded.shape[:2] != (claim.height, claim.width):
        raise UnreadableError(f"the {kind} is damaged and cannot be decoded")
    if decoded.dtype not in (np.uint8, np.uint16):
        raise UnreadableError(f"the {kind} contains {decoded.dtype} pixels; expected 8 or 16 bits")
    if decoded.ndim == 3 and decoded.shape[2] < 3:  # gray with transparency
        decoded = decoded[..., 0]
    if decoded.ndim == 3:
        swap = cv2.COLOR_BGRA2RGBA if decoded.shape[2] == 4 else cv2.COLOR_BGR2RGB
        decoded = cv2.cvtColor(decoded, swap)
    return np.asarray(decoded)


def _stretched(levels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return levels stretched to 0 to 255; 0 if all levels are equal."""
    low, high = int(levels.min()), int(levels.max())
    spread = levels.astype(np.float32) - np.float32(low)
    return np.asarray(np.rint(spread * np.float32(255 / max(1, high - low))), dtype=np.uint8)
