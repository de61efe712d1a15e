"""Where the pixel data lie in a DICOM file, found without reading them.

Native pixel data are one run of bytes. Encapsulated (compressed) ones are a chain of items: first
a table of offsets, then the fragments of the frame, then an end mark. A file that was cut short is
recognised by walking over their lengths.
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
    """Bytes `start` to `end` of the file hold the value; `fragments` are (start, end) within.

    Native pixel data have no fragments; `words` = they were written as 16-bit words, whose bytes
    a big-endian file swaps even where a pixel is one byte.
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
        """Return the compressed frame: its fragments joined, of the bytes of the file."""
        return b"".join(data[start:end] for start, end in self.fragments)


def find_pixel_data(file: BinaryIO) -> PixelData:
    """Return where the pixel data lie, of a file that stands where the header ends.

    Raises:
        UnreadableError: there are none, or the file ends before they do.
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
            "it holds floating-point pixel data, whole numbers of 8 to 16 bits were expected",
            f"Convert it to 16-bit PNG, or {LEAVE_OUT}.",
        )
    if tag != _PIXEL_DATA or len(start) < 12:
        raise UnreadableError(
            f"it holds no pixel data: its {size:,} bytes end with the header, or are damaged there"
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
    """Return the place of encapsulated pixel data whose first item begins at byte `first`."""
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
        raise UnreadableError("its pixel data are empty: there is no compressed frame in them")
    return PixelData(first, position, tuple(items[1:]))


def _truncated(expected: int, found: int) -> UnreadableError:
    return UnreadableError(
        f"it is truncated: its pixel data should be {expected:,} bytes long, {found:,} are there"
    )
