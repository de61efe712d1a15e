r"""The bytes of the prediction store: one header, then one checked record per array.

    header   b"goldmap2", fingerprint of the facts (16 hexadecimal digits), newline
    record   b"MAP\n", length of the id, height, width, length of the payload, presence
             probability (float32, not a number where there is none), CRC-32 (little-endian), then
             the id in UTF-8 and the map as a Zstandard frame
             b"ROW\n" instead: float32 numbers (little-endian), of height 1

The CRC covers the lengths, the id and the payload: a record is whole or it does not count.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from goldfold.errors import InputError, NotFiniteError
from goldfold.training.finite import RETRAIN

MAGIC = b"goldmap2"
FINGERPRINT_BYTES = 16
HEADER_BYTES = len(MAGIC) + FINGERPRINT_BYTES + 1

_DTYPES: dict[bytes, np.dtype[Any]] = {b"MAP\n": np.dtype(np.uint8), b"ROW\n": np.dtype("<f4")}
"""What an array of each kind of record holds."""
_FORMS = ((np.dtype(np.uint8), 2), (np.dtype(np.float32), 1))
_FIELDS = struct.Struct("<4sHIIIf")
_CRC = struct.Struct("<I")
_FRONT_BYTES = _FIELDS.size + _CRC.size

Bytes = bytes | memoryview
Stored = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True)
class Entry:
    """Where the record of an image lies in the file, the shape of its array, and its presence.

    `presence` is the probability that the image has a mask at all, None where no head told. A row
    of numbers has height 1 and `mark` ROW.
    """

    image_id: str
    start: int
    end: int
    height: int
    width: int
    presence: float | None = None
    mark: bytes = b"MAP\n"


def pack_header(fingerprint: str) -> bytes:
    """Return the first bytes of a store made from facts of this fingerprint."""
    return MAGIC + fingerprint.encode("ascii") + b"\n"


def pack_record(
    image_id: str, array: Stored, presence: float | None = None, *, level: int = 3
) -> bytes:
    """Return the record of one array.

    Args:
        image_id: at most 65,535 bytes in UTF-8.
        array: 8-bit probability map (H, W), uint8, or a row of numbers (C,), float32.
        presence: probability of a mask, 0 to 1, None where no head tells.
        level: of Zstandard's compression.
    """
    name = image_id.encode("utf-8")
    mark = b"ROW\n" if array.ndim == 1 else b"MAP\n"
    plain = np.ascontiguousarray(array, dtype=_DTYPES[mark])
    payload = zstandard.ZstdCompressor(level=level).compress(plain.tobytes())
    told = math.nan if presence is None else presence
    height, width = (1, *array.shape) if array.ndim == 1 else array.shape
    fields = _FIELDS.pack(mark, len(name), height, width, len(payload), told)
    crc = zlib.crc32(payload, zlib.crc32(name, zlib.crc32(fields)))
    return b"".join((fields, _CRC.pack(crc), name, payload))


def checked_record(image_id: str, array: Stored, presence: float | None = None) -> bytes:
    """Return the record of one array, refusing what a store does not take.

    Args:
        image_id: of the image, or `map_name`.
        array: a map, uint8 (H, W), or a row of numbers, float32 (C,).
        presence: probability that there is a mask at all, None where no head tells.

    Raises:
        InputError: the array is of another form.
        NotFiniteError: a number or the presence is NaN or infinite; NaN in a record means no
            presence.
    """
    if (array.dtype, array.ndim) not in _FORMS or array.size == 0:
        raise InputError(
            f"{image_id}: expected a map of 8-bit levels, uint8 (H, W), or a row of numbers, "
            f"float32 (C,), found {array.dtype} {array.shape}."
        )
    if array.dtype == np.float32 and not np.isfinite(array).all():
        raise NotFiniteError(f"{image_id}: predicted NaN or infinite numbers. {RETRAIN}")
    if presence is not None and not math.isfinite(presence):
        raise NotFiniteError(
            f"{image_id}: the probability of its presence is {presence}. Look for NaN in the "
            "weights and logits it comes from."
        )
    return pack_record(image_id, array, presence)


def unpack_array(content: Bytes, entry: Entry) -> Stored | None:
    """Return the array of a record, read-only, or None where it is damaged.

    A map is uint8 (H, W), a row float32 (C,).
    """
    if not _is_whole(content, entry):
        return None
    payload = content[entry.start + _FRONT_BYTES + len(entry.image_id.encode("utf-8")) : entry.end]
    dtype = _DTYPES[entry.mark]
    size = entry.height * entry.width * dtype.itemsize
    try:
        if zstandard.frame_content_size(payload) != size:
            return None
        raw = zstandard.ZstdDecompressor().decompress(payload, max_output_size=size)
    except zstandard.ZstdError:
        return None
    array = np.frombuffer(raw, dtype)
    return array if entry.mark == b"ROW\n" else array.reshape(entry.height, entry.width)


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
    if mark not in _DTYPES or end > len(content):
        return None
    try:
        image_id = bytes(content[name_start : name_start + name_bytes]).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return Entry(image_id, start, end, height, width, None if math.isnan(told) else told, mark)


def _is_whole(content: Bytes, entry: Entry) -> bool:
    fields_end = entry.start + _FIELDS.size
    crc = zlib.crc32(content[entry.start : fields_end])
    crc = zlib.crc32(content[fields_end + _CRC.size : entry.end], crc)
    return bool(_CRC.unpack_from(content, fields_end)[0] == crc)
