"""Finds the pixel data in a DICOM file without reading them.

Native pixel data are contiguous bytes. Encapsulated (compressed) pixel data are a chain of items: a
table of offsets, the fragments of the frames, and an end marker. Truncated files are detected by
following the lengths of the items.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

from goldfold.competitions.codestream import LEAVE_OUT, UnreadableError

_PIXEL_DATA = (0x7FE0, 0x0010)
_FLOAT_PIXEL_DATA = ((0x7FE0, 0x0008), (0x7FE0, 0x0009))
_ITEM = (0xFFFE, 0xE000)
_END = (0xFFFE, 0xE0DD)
_UNDEFINED = 0xFFFFFFFF
_LONG_KINDS = (b"OB", b"OW", b"UN")


@dataclass(frozen=True)
class PixelData:
    """The value is in bytes `start` to `end` of the file; `fragments` are (start, end) within it.

    Native pixel data have no fragments. `words`: they were written as 16-bit words, whose bytes are
    swapped in a big-endian file even if a pixel is one byte.
    """

    start: int
    end: int
    fragments: tuple[tuple[int, int], ...]
    words: bool = False

    @property
    def encapsulated(self) -> bool:
        """Whether the pixel data are compressed."""
        return bool(self.fragments)

    def frame(self, data: bytes) -> bytes:
        """Return the compressed frame, its joined fragments, from the bytes of the file."""
        return b"".join(data[start:end] for start, end in self.fragments)


def find_pixel_data(file: BinaryIO) -> PixelData:
    """Return the location of the pixel data; the file must be positioned at the end of the header.

    Raises:
        UnreadableError: there are no pixel data, or they are truncated.
    """
    place = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(place)
    start = file.read(12)
    little = start[:2] != b"\x7f\xe0"
    order = "<" if little else ">"
    tag = struct.unpack(f"{order}HH", start[:4]) if len(start) >= 4 else None
    if tag in _FLOAT_PIXEL_DATA:
        raise UnreadableError(
            "it contains floating-point pixel data; expected whole numbers of 8 to 16 bits",
            f"Convert it to 16-bit PNG, or {LEAVE_OUT}.",
        )
    if tag != _PIXEL_DATA or len(start) < 12:
        raise UnreadableError(
            f"it has no pixel data: its {size:,} bytes end with the header, or are damaged there"
        )
    explicit = start[4:6] in _LONG_KINDS
    (length,) = struct.unpack(f"{order}I", start[8:12] if explicit else start[4:8])
    first = place + (12 if explicit else 8)
    if length == _UNDEFINED:
        return _walk_fragments(file, first, size)
    if first + length > size:
        raise _truncated(length, size - first)
    return PixelData(first, first + length, (), start[4:6] == b"OW")


def _walk_fragments(file: BinaryIO, first: int, size: int) -> PixelData:
    """Return the location of encapsulated pixel data whose first item starts at byte `first`."""
    items: list[tuple[int, int]] = []
    position = first
    while True:
        file.seek(position)
        start = file.read(8)
        if len(start) < 8:
            raise UnreadableError(
                f"it is truncated: its {size:,} bytes end before its pixel data do"
            )
        group, element, length = struct.unpack("<HHI", start)
        if (group, element) == _END:
            break
        if (group, element) != _ITEM:
            raise UnreadableError(f"its pixel data are damaged at byte {position:,}")
        if position + 8 + length > size:
            raise _truncated(length, size - position - 8)
        items.append((position + 8, position + 8 + length))
        position += 8 + length
    if len(items) < 2:
        raise UnreadableError("its pixel data are empty: they contain no compressed frame")
    return PixelData(first, position, tuple(items[1:]))


def _truncated(expected: int, present: int) -> UnreadableError:
    return UnreadableError(
        f"it is truncated: its pixel data should have {expected:,} bytes, but have {present:,}"
    )
