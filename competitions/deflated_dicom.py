"""Deflated DICOM files, in which everything after the file meta information is a zlib stream."""

from __future__ import annotations

import struct
import zlib

from pydicom import uid

from goldfold.competitions.codestream import MAX_PIXELS, UnreadableError

DEFLATED = str(uid.DeflatedExplicitVRLittleEndian)
MOST_BYTES = 2 * MAX_PIXELS + (1 << 24)
"""Limit on the inflated size, checked while inflating."""

_PLAIN = str(uid.ExplicitVRLittleEndian).encode().ljust(len(DEFLATED), b"\0")
_HEAD = 4096
_META_LENGTH = struct.Struct("<HH2sHI")  # element (0002,0000), at byte 132


def is_deflated(start: bytes) -> bool:
    """Return whether a DICOM file is deflated.

    Args:
        start: at least the first 4,096 bytes of the file.
    """
    return DEFLATED.encode() in start[:_HEAD]


def inflate(data: bytes) -> bytes:
    """Return the file re-encoded as explicit little endian.

    Args:
        data: the bytes of a deflated DICOM file.

    Raises:
        UnreadableError: the file is damaged or truncated, or inflates to more than `MOST_BYTES`.
    """
    if len(data) < 144:
        raise UnreadableError("its DICOM header is truncated")
    group, element, kind, _, length = _META_LENGTH.unpack_from(data, 132)
    start = 144 + length
    if (group, element, kind) != (2, 0, b"UL") or start > len(data):
        raise UnreadableError("it is deflated, but its header does not say from which byte on")
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
