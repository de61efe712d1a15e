"""The numbers of a run-length encoded cell: reads what is unambiguous, writes exactly."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.dialect import Dialect
from goldfold.competitions.malformed_runs import MalformedRunsError, check_token, shorten

_PLAIN = b"0123456789 \t\r\n"
_BETWEEN = b",;[](){}'\""
"""What separates or encloses the numbers of a list, in any dialect."""
_LARGEST = 10**12
"""Larger numbers are refused: no image has that many pixels, and their sums could overflow."""
PAIRS = {
    "start-length": "start length",
    "gap-length": "gap length",
    "start-last": "first last",
    "start-stop": "first stop",
}
"""The two numbers of a run, in words."""
_POINT_ZERO = re.compile(r"(-?[0-9]+)\.0*")
_NESTED = re.compile(r"[\[(][^\[\]()]*[\])]")


def read_numbers(
    text: str, dialect: Dialect, name: str = "", *, strict: bool = False
) -> NDArray[np.int64]:
    """Return the whole numbers of a cell, int64 (N,).

    Args:
        text: the cell.
        dialect: its separator is accepted besides spaces, commas, semicolons and brackets.
        name: name of the cell in messages.
        strict: refuse what the dialect would not write, but for spaces.

    Raises:
        MalformedRunsError: something is not a whole number, or is larger than any image.
    """
    bare = not dialect.brackets and not dialect.separator.strip()
    if strict and not bare:
        text = _own_form(text, dialect, name)
    elif not strict and not _is_plain(text):
        text = _any_form(text, dialect, name)
    if _is_plain(text):
        numbers = np.fromstring(text, dtype=np.int64, sep=" ")
    else:
        tokens = text.split()
        if not strict:
            tokens = [_without_point(token) for token in tokens]
        for position, token in enumerate(tokens, start=1):
            check_token(token, position, name)
        numbers = np.array([_clipped(token) for token in tokens], np.int64)
    large = np.flatnonzero(numbers > _LARGEST)
    if large.size:
        raise MalformedRunsError(
            "out-of-bounds",
            f"number {large[0] + 1} ({shorten(text.split()[large[0]])}) lies beyond any image",
            name,
        )
    return numbers


def write_numbers(numbers: NDArray[np.int64], dialect: Dialect) -> str:
    """Return numbers as the dialect writes them."""
    # Python formats a list of integers four times as fast as it joins their strings.
    text = str(numbers.tolist())[1:-1]
    if dialect.separator == " ":
        text = text.replace(",", "")
    elif dialect.separator != ", ":
        text = text.replace(", ", dialect.separator)
    return f"{dialect.brackets[:1]}{text}{dialect.brackets[1:]}"


def _is_plain(text: str) -> bool:
    """Return whether text has nothing but digits and spaces, as nearly all cells have."""
    return text.isascii() and not text.encode().translate(None, _PLAIN)


def _any_form(text: str, dialect: Dialect, name: str) -> str:
    """Return a cell with single spaces for all that separates or encloses its numbers."""
    _refuse_objects(text, name)
    if own := dialect.separator.strip():
        text = text.replace(own, " ")
    for letter in _BETWEEN.decode():
        text = text.replace(letter, " ")
    return text


def _own_form(text: str, dialect: Dialect, name: str) -> str:
    """Return a cell that has the form that a dialect writes with spaces between its numbers.

    Raises:
        MalformedRunsError: brackets or separators are others, or missing.
    """
    text, first, last = text.strip(), dialect.brackets[:1], dialect.brackets[1:]
    own = dialect.separator.strip()
    if text.startswith(first) and text.endswith(last) and len(text) > len(first + last):
        inner = text[len(first) : len(text) - len(last)]
        parts = [part.strip() for part in inner.split(own)] if own else inner.split()
        if all(len(part.split()) == 1 for part in parts):
            return " ".join(parts)
    form = f'"{first}1{dialect.separator}2{last}"'
    raise MalformedRunsError("form", f"{shorten(text)} is not written like {form}", name)


def _refuse_objects(text: str, name: str) -> None:
    """Raise an error if a cell is COCO's object, or a list of polygons."""
    if "counts" in text:
        raise MalformedRunsError(
            "not-a-number",
            f'{shorten(text)} has COCO\'s counts; set dialect = "coco" if they are letters, '
            '"coco-counts" if they are numbers',
            name,
        )
    inner = _NESTED.findall(text) if text.count("[") + text.count("(") > 1 else []
    if any(len(re.findall(r"[0-9.]+", part)) > 2 for part in inner):
        raise MalformedRunsError(
            "not-a-number",
            f"{shorten(text)} is a list of lists, as polygons are; expected one list of runs. Draw "
            "polygons into mask files (cv2.fillPoly)",
            name,
        )


def _without_point(token: str) -> str:
    """Return a whole number that was written as 3.0 without its point.

    >>> _without_point("12.0"), _without_point("12.5")
    ('12', '12.5')
    """
    whole = _POINT_ZERO.fullmatch(token)
    return whole[1] if whole else token


def _clipped(token: str) -> int:
    digits = token.lstrip("-")
    if len(digits) < len(str(_LARGEST)):
        return int(token)
    return 2 * _LARGEST if digits == token else -_LARGEST
