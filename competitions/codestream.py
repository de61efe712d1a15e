"""Checks of encoded pixels (PNG, JPEG and JPEG 2000) before they are decoded.

A decoder trusts the size in the header and allocates memory for it, and some decoders fill a
truncated image with gray. So size and end are checked here first, by reading a few bytes at either
end.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PIXELS = 100_000_000
"""Largest height x width that is decoded; a file that claims more is refused."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
LEAVE_OUT = "leave it out with competition.images.exclude"
COPY_AGAIN = f"Copy or download it again, or {LEAVE_OUT}."

_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
# Start-of-frame markers: baseline, progressive, lossless, arithmetic, JPEG-LS; not DHT, JPG, DAC.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_JPEG_BARE = frozenset(range(0xD0, 0xDA)) | {0x01}
_JPEG_MARKERS = 1000
_JPEG2000_START = b"\xff\x4f\xff\x51"


class UnreadableError(Exception):
    """An image cannot be read; the message says why and what to do, the caller adds the file."""

    def __init__(self, reason: str, remedy: str = COPY_AGAIN) -> None:
        super().__init__(f"{' '.join(reason.split())}. {remedy}")


class UndecidedError(UnreadableError):
    """An image is whole, but a setting has to say how it is read."""


@dataclass(frozen=True)
class Claim:
    """The size that encoded pixels claim.

    `bits` are those of a sample. `pictures` counts pages or frames. An `orientation` other than 1
    asks a viewer to turn the picture (EXIF, TIFF).
    """

    height: int
    width: int
    channels: int
    bits: int
    pictures: int = 1
    orientation: int = 1


def require_plausible_size(height: int, width: int) -> None:
    """Raise an error unless an image of this size may be decoded.

    Raises:
        UnreadableError: a side is 0, or there are more than `MAX_PIXELS` pixels.
    """
    if height < 1 or width < 1:
        raise UnreadableError(f"its header claims {height} x {width} pixels (height x width)")
    if height * width > MAX_PIXELS:
        raise UnreadableError(
            f"its header claims {height} x {width} pixels (height x width), "
            f"at most {MAX_PIXELS:,} pixels are decoded",
            "If the header is damaged, copy the file again; if the image really is that large, "
            "downscale it first.",
        )


def png_claim(data: bytes) -> Claim:
    """Return what the first 26 bytes of a PNG file claim.

    Raises:
        UnreadableError: the bytes do not start like a PNG file.
    """
    if len(data) < 26 or not data.startswith(PNG_SIGNATURE) or data[12:16] != b"IHDR":
        raise UnreadableError("the PNG header is truncated or damaged")
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    if colour not in _PNG_CHANNELS or bits not in (1, 2, 4, 8, 16):
        raise UnreadableError(f"the PNG header claims colour type {colour} with {bits} bits")
    return Claim(height, width, _PNG_CHANNELS[colour], bits)


def require_whole_png(data: bytes) -> None:
    """Raise an error unless every chunk is present and those that matter have valid checksums.

    Raises:
        UnreadableError: the file is truncated or damaged.
    """
    view = memoryview(data)
    for kind, start, end in _png_chunks(data):
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if _is_necessary(kind) and zlib.crc32(view[start + 4 : end - 4]) != checksum:
            raise UnreadableError(f"the PNG is damaged: wrong checksum at byte {start:,}")


def png_without_extras(data: bytes) -> bytes:
    """Return a PNG file with nothing but what its pixels, colours and transparency are made from.

    Raises:
        UnreadableError: the file is truncated.
    """
    kept = [
        data[start:end]
        for kind, start, end in _png_chunks(data)
        if _is_necessary(kind) or kind == b"tRNS"
    ]
    return b"".join([PNG_SIGNATURE, *kept])


def _is_necessary(kind: bytes) -> bool:
    return not kind[0] & 0x20


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, first byte and end of each chunk up to the end chunk."""
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            break
        yield kind, position, end
        if kind == b"IEND":
            return
        position = end
    raise UnreadableError(f"the PNG is truncated: {len(data):,} bytes without its end chunk")


def jpeg_claim(data: bytes) -> Claim:
    """Return what the frame header of a JPEG (lossless and JPEG-LS included) claims.

    Raises:
        UnreadableError: the bytes contain no frame header.
    """
    position = 2
    for _ in range(_JPEG_MARKERS):
        if position + 10 > len(data) or data[position] != 0xFF:
            break
        marker = data[position + 1]
        if marker in _JPEG_FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, position + 4)
            return Claim(height, width, channels, bits)
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker in _JPEG_BARE:
            position += 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    raise UnreadableError("the JPEG header is truncated or damaged")


def require_whole_jpeg(data: bytes) -> None:
    """Raise an error unless the end marker follows the last scan.

    Raises:
        UnreadableError: the JPEG is truncated.
    """
    tail = data[-64:].rstrip(b"\0")
    if tail.endswith(b"\xff\xd9"):
        return
    if data.find(b"\xff\xd9", max(data.rfind(b"\xff\xda"), 0)) < 0:
        raise UnreadableError(f"the JPEG is truncated: {len(data):,} bytes without its end marker")


def jpeg2000_codestream(data: bytes) -> bytes:
    """Return the JPEG 2000 codestream, without the JP2 boxes that may precede it.

    Raises:
        UnreadableError: there is no codestream.
    """
    start = data.find(_JPEG2000_START)
    if start < 0:
        raise UnreadableError("the JPEG 2000 header is truncated or damaged")
    return data[start:]


def jpeg2000_claim(codestream: bytes) -> Claim:
    """Return what the size segment at the start of a JPEG 2000 codestream claims.

    Raises:
        UnreadableError: the segment is truncated.
    """
    if len(codestream) < 43:
        raise UnreadableError("the JPEG 2000 header is truncated or damaged")
    right, bottom, left, top = struct.unpack_from(">IIII", codestream, 8)
    channels, precision = struct.unpack_from(">HB", codestream, 40)
    return Claim(bottom - top, right - left, channels, (precision & 0x7F) + 1)
