"""Deflated DICOM files: all behind the file meta information is one zlib stream."""

from __future__ import annotations

import struct
import zlib

from pydicom import uid

from goldfold.competitions.codestream import MAX_PIXELS, UnreadableError

DEFLATED = str(uid.DeflatedExplicitVRLittleEndian)
MOST_BYTES = 2 * MAX_PIXELS + (1 << 24)
"""A stream that inflates to more is refused before it does."""

_PLAIN = str(uid.ExplicitVRLittleEndian).encode().ljust(len(DEFLATED), b"\0")
_HEAD = 4096
_META_LENGTH = struct.Struct("<HH2sHI")  # element (0002,0000), at byte 132


def is_deflated(start: bytes) -> bool:
    """Return whether a DICOM file that begins so is deflated.

    Args:
        start: the first 4,096 bytes or more.
    """
    return DEFLATED.encode() in start[:_HEAD]


def inflate(data: bytes) -> bytes:
    """Return the file as it would be if it had been written in explicit little endian.

    Args:
        data: the bytes of a deflated DICOM file.

    Raises:
        UnreadableError: damaged, cut off, or inflating to more than `MOST_BYTES`.
    """
    if len(data) < 144:
        raise UnreadableError("its DICOM header is broken off")
    group, element, kind, _, length = _META_LENGTH.unpack_from(data, 132)
    start = 144 + length
    if (group, element, kind) != (2, 0, b"UL") or start > len(data):
        raise UnreadableError("its header is deflated, and does not say where that begins")
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = stream.decompress(data[start:], MOST_BYTES)
    except zlib.error as error:
        raise UnreadableError(f"its deflated content is damaged ({error})") from error
    if stream.unconsumed_tail:
        raise UnreadableError(f"its deflated content is larger than {MOST_BYTES:,} bytes")
    if not stream.eof:
        raise UnreadableError("it is truncated: its deflated content has no end")
    return data[:start].replace(DEFLATED.encode(), _PLAIN) + content
