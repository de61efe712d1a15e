"""COCO's run-length encodings: counts of pixels outside, inside, outside ..., and their letters.

The letters are those of `rleToString` in pycocotools: each count from the fourth on is written as
the difference to the one two places before, in digits of 5 bits, lowest first. A letter is 48 plus
a digit, plus 32 where more digits follow; the highest bit of the last digit is the sign.
"""

from __future__ import annotations

import ast
import base64
import binascii
import json
import warnings
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.malformed_runs import MalformedRunsError, shorten
from goldfold.vocabulary import RunText

Numbers = NDArray[np.int64]

_FIRST, _LETTERS, _MORE, _SIGN = 48, 64, 32, 16
_MOST_DIGITS = 9
"""Digits of a count: 45 bits, more than any image has pixels."""
_MOST_BYTES = 2**26
"""A mask may unpack to as many bytes; its text comes from a file that anyone may have written."""


@dataclass(frozen=True)
class CocoMask:
    """What a cell says of a mask: its counts, still as text or already as numbers, and its size."""

    counts: str | Numbers
    size: tuple[int, int] | None


def from_letters(letters: str, name: str = "") -> Numbers:
    """Return the counts, int64 (C,), that COCO's letters stand for.

    >>> from_letters("52203").tolist()
    [5, 2, 2, 2, 5]

    Raises:
        MalformedRunsError: letters that COCO does not use, or a last count without its end.
    """
    codes = np.frombuffer(letters.encode("utf-8", "replace"), np.uint8).astype(np.int64) - _FIRST
    if ((codes < 0) | (codes >= _LETTERS)).any():
        raise MalformedRunsError(
            "not-a-number", f"{shorten(letters)} has letters that COCO's counts do not have", name
        )
    ends = np.flatnonzero(codes < _MORE)
    if not ends.size or ends[-1] != codes.size - 1:
        raise MalformedRunsError("odd-count", f"the counts {shorten(letters)} are cut off", name)
    starts = np.concatenate([[0], ends[:-1] + 1])
    digits = ends - starts + 1
    if digits.max() > _MOST_DIGITS:
        raise MalformedRunsError(
            "out-of-bounds", f"a count of {shorten(letters)} lies beyond any image", name
        )
    place = np.arange(codes.size) - np.repeat(starts, digits)
    values = np.add.reduceat((codes & (_MORE - 1)) << 5 * place, starts)
    values -= np.where(codes[ends] & _SIGN, np.int64(1) << 5 * digits, 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def to_letters(counts: Numbers) -> str:
    """Return COCO's letters for counts, as pycocotools writes them.

    >>> to_letters(np.array([5, 2, 2, 2, 5]))
    '52203'
    """
    rest = counts.astype(np.int64)
    rest[3:] -= counts[1:-2]
    letters = np.zeros((rest.size, _MOST_DIGITS), np.uint8)
    open_counts = np.ones(rest.size, np.bool_)
    for place in range(_MOST_DIGITS):
        digit = rest & (_MORE - 1)
        rest >>= 5
        more = np.where(digit & _SIGN, rest != -1, rest != 0)
        letters[:, place] = np.where(open_counts, digit + _FIRST + _MORE * more, 0)
        open_counts &= more
        if not open_counts.any():
            break
    return letters[letters > 0].tobytes().decode("ascii")


def pack(letters: str, text: RunText) -> str:
    """Return letters as a dialect of that `text` writes them."""
    if text == "coco":
        return letters
    return base64.b64encode(zlib.compress(letters.encode("ascii"), 9)).decode("ascii")


def unpack(cell: str, text: RunText, name: str = "") -> str:
    """Return the letters of a cell as a dialect of that `text` writes it.

    Raises:
        MalformedRunsError: it is not base64 of zlib's.
    """
    if text != "coco-base64":
        return cell
    try:
        packed = base64.b64decode(cell, validate=True)
        unpacker = zlib.decompressobj()
        letters = unpacker.decompress(packed, _MOST_BYTES)
        if not unpacker.eof:
            raise zlib.error("incomplete, or too large")
        return letters.decode("ascii")
    except (binascii.Error, zlib.error, ValueError) as error:
        raise MalformedRunsError(
            "not-a-number", f"{shorten(cell)} is not base64 of zlib's ({error})", name
        ) from None


def read_object(cell: str, name: str = "") -> CocoMask:
    """Return what a JSON or Python object says: size and counts, or counts alone in quotes.

    Raises:
        MalformedRunsError: it is no such object, or one of polygons.
    """
    content = _literal(cell)
    if isinstance(content, bytes):
        return CocoMask(content.decode("ascii", "replace"), None)
    if isinstance(content, str):
        return CocoMask(content, None)
    if not isinstance(content, dict) or "counts" not in content:
        raise MalformedRunsError(
            "not-a-number", f'{shorten(cell)} is not COCO\'s {{"size": ..., "counts": ...}}', name
        )
    counts, size = content["counts"], content.get("size")
    if isinstance(counts, bytes):
        counts = counts.decode("ascii", "replace")
    if not isinstance(counts, str):
        counts = _whole(counts, shorten(cell), name)
    if size is None:
        return CocoMask(counts, None)
    sides = _whole(size, shorten(cell), name)
    if sides.size != 2 or (sides < 1).any():
        raise MalformedRunsError("not-a-number", f"the size of {shorten(cell)} is not [h, w]", name)
    return CocoMask(counts, (int(sides[0]), int(sides[1])))


def _literal(cell: str) -> Any:
    """Return the content of a JSON or Python literal, None if it is neither."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's remarks on the syntax of a cell
            return ast.literal_eval(cell)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _whole(given: Any, cell: str, name: str) -> Numbers:
    """Return a list of whole numbers as an array, int64 (N,)."""
    good = isinstance(given, list | tuple) and all(
        isinstance(number, int) and not isinstance(number, bool) and abs(number) < 2**45
        for number in given
    )
    if not good:
        raise MalformedRunsError("not-a-number", f"{cell} has counts that are no numbers", name)
    return np.array(given, np.int64)
