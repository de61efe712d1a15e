"""DICOM images whose values are indices into three tables of red, green and blue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.codestream import LEAVE_OUT, UnreadableError

CONVERT = f"Convert it to 8-bit PNG, or {LEAVE_OUT}."


@dataclass(frozen=True)
class Palette:
    """`levels[v - first]` is the colour of a value v; values outside take the nearest entry."""

    first: int
    levels: tuple[tuple[int, int, int], ...]
    """Red, green, blue from 0 to 255."""

    def look_up(self, stored: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return (H, W, 3) RGB for stored values (H, W)."""
        table = np.array(self.levels, np.uint8)
        places = np.clip(stored.astype(np.int64) - self.first, 0, len(table) - 1)
        return np.ascontiguousarray(table[places])


def make_palette(descriptors: list[list[int]], tables: list[bytes], signed: bool) -> Palette:
    """Return the palette of red, green and blue; 16-bit entries are reduced to 8 bits.

    Args:
        descriptors: per colour: number of entries (0 for 65,536), first value, bits per entry.
        tables: per colour: little-endian entries of 8 or 16 bits.
        signed: whether pixel values, and so the first value, may be negative.

    Raises:
        UnreadableError: descriptors and tables do not fit each other.
    """
    if len({tuple(descriptor[:2]) for descriptor in descriptors}) != 1 or len(descriptors[0]) < 3:
        raise UnreadableError("the tables of its palette differ or are not described", CONVERT)
    entries, first = descriptors[0][0] or 2**16, descriptors[0][1]
    columns = [
        _levels(data, entries, bits) for data, (*_, bits) in zip(tables, descriptors, strict=True)
    ]
    if first >= 2**15 and signed:
        first -= 2**16
    levels = np.stack(columns, axis=1).tolist()
    return Palette(first, tuple((red, green, blue) for red, green, blue in levels))


def _levels(data: bytes, entries: int, bits: int) -> NDArray[np.uint8]:
    """Return the levels of a colour, (entries,); an entry is a 16-bit word, or a byte if 8 bits."""
    if len(data) >= 2 * entries:
        words = np.frombuffer(data[: 2 * entries], "<u2")
        # Some writers put 8 bits into the upper half of a word, whatever the descriptor says.
        wide = bits > 8 or int(words.max()) > 255
        return (words >> 8 if wide else words).astype(np.uint8)
    if len(data) >= entries and bits <= 8:
        return np.frombuffer(data[:entries], np.uint8)
    raise UnreadableError(
        f"its palette describes {entries} entries of {bits} bits, but has {len(data)} bytes",
        CONVERT,
    )
