r"""The bytes of the prediction store: one header, then one checked record an image.

    header   b"goldmap2", fingerprint of the facts (16 hexadecimal digits), newline
    record   b"MAP\n", length of the id, height, width, length of the payload, presence
             probability (float32, not a number where there is none), CRC-32 (little-endian), then
             the id in UTF-8 and the map as a Zstandard frame

The CRC covers the lengths, the id and the payload: a record is whole or it does not count.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import zstandard
from numpy.typing import NDArray

MAGIC = b"goldmap2"
FINGERPRINT_BYTES = 16
HEADER_BYTES = len(MAGIC) + FINGERPRINT_BYTES + 1

_MARK = b"MAP\n"
_FIELDS = struct.Struct("<4sHIIIf")
_CRC = struct.Struct("<I")
_FRONT_BYTES = _FIELDS.size + _CRC.size

Bytes = bytes | memoryview


@dataclass(frozen=True)
class Entry:
    """Where the record of an image lies in the file, the size of its map, and its presence.

    `presence` is the probability that the image has a mask at all, None where no head told.
    """

    image_id: str
    start: int
    end: int
    height: int
    width: int
    presence: float | None = None


def pack_header(fingerprint: str) -> bytes:
    """Return the first bytes of a store made from facts of this fingerprint."""
    return MAGIC + fingerprint.encode("ascii") + b"\n"


def pack_record(
    image_id: str, levels: NDArray[np.uint8], presence: float | None = None, *, level: int = 3
) -> bytes:
    """Return the record of one map.

    Args:
        image_id: at most 65,535 bytes in UTF-8.
        levels: 8-bit probability map (H, W), uint8.
        presence: probability of a mask, 0 to 1, None where no head tells.
        level: of Zstandard's compression.
    """
    name = image_id.encode("utf-8")
    payload = zstandard.ZstdCompressor(level=level).compress(np.ascontiguousarray(levels).data)
    told = math.nan if presence is None else presence
    fields = _FIELDS.pack(_MARK, len(name), *levels.shape, len(payload), told)
    crc = zlib.crc32(payload, zlib.crc32(name, zlib.crc32(fields)))
    return b"".join((fields, _CRC.pack(crc), name, payload))


def unpack_map(content: Bytes, entry: Entry) -> NDArray[np.uint8] | None:
    """Return the map of a record, uint8 (H, W) and read-only, or None where it is damaged."""
    if not _is_whole(content, entry):
        return None
    payload = content[entry.start + _FRONT_BYTES + len(entry.image_id.encode("utf-8")) : entry.end]
    pixels = entry.height * entry.width
    try:
        if zstandard.frame_content_size(payload) != pixels:
            return None
        raw = zstandard.ZstdDecompressor().decompress(payload, max_output_size=pixels)
    except zstandard.ZstdError:
        return None
    return np.frombuffer(raw, np.uint8).reshape(entry.height, entry.width)


def scan_records(content: Bytes, *, verify: bool, start: int = HEADER_BYTES) -> Iterator[Entry]:
    """Yield the records in order, up to the end or the first that is torn.

    Args:
        content: the whole file.
        verify: compare each record's CRC, which reads every byte; otherwise only the lengths.
        start: where a record begins.
    """
    while (entry := _entry_at(content, start)) is not None:
        if verify and not _is_whole(content, entry):
            return
        yield entry
        start = entry.end


def _entry_at(content: Bytes, start: int) -> Entry | None:
    """Return the record at an offset, or None where there is no whole one."""
    if start + _FRONT_BYTES > len(content):
        return None
    mark, name_bytes, height, width, payload_bytes, told = _FIELDS.unpack_from(content, start)
    name_start = start + _FRONT_BYTES
    end = name_start + name_bytes + payload_bytes
    if mark != _MARK or end > len(content):
        return None
    try:
        image_id = bytes(content[name_start : name_start + name_bytes]).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return Entry(image_id, start, end, height, width, None if math.isnan(told) else told)


def _is_whole(content: Bytes, entry: Entry) -> bool:
    fields_end = entry.start + _FIELDS.size
    crc = zlib.crc32(content[entry.start : fields_end])
    crc = zlib.crc32(content[fields_end + _CRC.size : entry.end], crc)
    return bool(_CRC.unpack_from(content, fields_end)[0] == crc)
