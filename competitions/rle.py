"""Run-length encodings of masks, in the dialects that competitions use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.malformed_runs import (
    MalformedRunsError,
    check_bounds,
    check_lengths,
    check_order,
    check_token,
    shorten,
)
from goldfold.competitions.pixel_runs import (
    NO_RUNS,
    Order,
    Runs,
    area_px,
    intersection_px,
    mask_of_runs,
    merge_runs,
    runs_of_mask,
)
from goldfold.competitions.pixels import as_mask
from goldfold.errors import InputError, did_you_mean

__all__ = [
    "DIALECTS",
    "Dialect",
    "MalformedRunsError",
    "Runs",
    "area_px",
    "decode",
    "encode",
    "format_runs",
    "get_dialect",
    "intersection_px",
    "is_empty",
    "merge_runs",
    "parse",
]

_PLAIN = b"0123456789 \t\r\n"
_LARGEST = 10**12
"""Larger numbers are refused: no image has that many pixels, and their sums could overflow."""


@dataclass(frozen=True)
class Dialect:
    """A way to write a mask as numbers `start length start length ...`."""

    name: str
    order: Order
    """Order in which the pixels are counted."""
    base: int
    """Number of the first pixel: 0 or 1."""
    gaps: Literal["absolute", "relative"]
    """A start is a position, or (after the first) the gap from the end of the previous run."""
    empty: str
    """How an empty mask is written."""


DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        dialect.name: dialect
        for dialect in (
            Dialect("siim", "column", 0, "relative", "-1"),
            Dialect("kaggle", "column", 1, "absolute", ""),
            Dialect("kaggle-dash", "column", 1, "absolute", "-"),
            Dialect("row-major", "row", 1, "absolute", ""),
            Dialect("row-major-0", "row", 0, "absolute", ""),
        )
    }
)


def get_dialect(name: str | Dialect) -> Dialect:
    """Return the dialect of that name; a dialect is returned as it is.

    Raises:
        InputError: there is no such dialect.
    """
    if isinstance(name, Dialect):
        return name
    if not isinstance(name, str):
        raise InputError(
            f"expected the name of a run-length dialect or a Dialect, found {name!r} (a "
            f"{type(name).__name__}); there are {', '.join(DIALECTS)}."
        )
    if name in DIALECTS:
        return DIALECTS[name]
    hint = did_you_mean(name, DIALECTS)
    known = ", ".join(DIALECTS)
    raise InputError(f"unknown run-length dialect {name!r}; expected one of {known}.{hint}")


def is_empty(text: object) -> bool:
    """Return whether a label cell is an empty mask, whatever type it was read as.

    >>> [is_empty(cell) for cell in (" -1", -1, -1.0, "", None, float("nan"), "5 2")]
    [True, True, True, True, True, True, False]
    """
    if isinstance(text, str):
        return text.strip() in ("", "-1")
    if isinstance(text, float | np.floating):
        return bool(np.isnan(text) or text == -1)
    return text is None or type(text).__name__ == "NAType" or bool(text == -1)


def parse(
    text: object,
    dialect: Dialect,
    *,
    pixels: int | None = None,
    name: str = "",
    allow_overlap: bool = False,
) -> Runs:
    """Return the runs that a cell describes, counted from 0 in the dialect's order.

    Spaces and all usual tokens for an empty mask are accepted; touching runs become one.

    Args:
        text: the cell, normally a string.
        dialect: the dialect it is written in.
        pixels: number of pixels of the image, to refuse runs beyond it; None = not known.
        name: name of the cell in messages, e.g. the image id.
        allow_overlap: merge runs that overlap or are out of order instead of refusing them.

    Raises:
        MalformedRunsError: an odd count of numbers, something that is not a whole number, a
            length below 1, a run beyond the image, or (unless allowed) overlapping or unsorted
            runs. The message says which number of the cell, counted from 1.
    """
    if is_empty(text) or (isinstance(text, str) and text.strip() == dialect.empty):
        return NO_RUNS
    numbers = _numbers(str(text), name)
    if numbers.size % 2:
        raise MalformedRunsError(
            "odd-count",
            f"expected pairs 'start length', found an odd count of numbers ({numbers.size})",
            name,
        )
    lengths = numbers[1::2]
    ends = np.cumsum(numbers)[1::2] if dialect.gaps == "relative" else numbers[0::2] + lengths
    if dialect.base:
        ends = ends - dialect.base
    runs = Runs(ends - lengths, lengths)
    if _is_plain(runs, ends, pixels):
        return runs
    check_lengths(numbers, name)
    if not allow_overlap:
        check_order(runs, numbers, name)
    check_bounds(runs, numbers, dialect.base, pixels, name)
    return merge_runs([runs])


def _is_plain(runs: Runs, ends: NDArray[np.int64], pixels: int | None) -> bool:
    """Return whether runs are sorted, separate and inside the image, as nearly all are."""
    starts = runs.starts
    return bool(
        len(starts)
        and starts[0] >= 0
        and (pixels is None or ends[-1] <= pixels)
        and runs.lengths.min() > 0
        and (starts[1:] > ends[:-1]).all()
    )


def format_runs(runs: Runs, dialect: Dialect) -> str:
    """Return the runs as text in the dialect, with single spaces between the numbers.

    >>> runs = parse("1 3 10 5", get_dialect("kaggle"))
    >>> format_runs(runs, get_dialect("siim"))
    '0 3 6 5'
    """
    if not len(runs):
        return dialect.empty
    numbers = np.empty(2 * len(runs), np.int64)
    numbers[0::2] = runs.starts
    numbers[1::2] = runs.lengths
    if dialect.gaps == "relative":
        numbers[2::2] -= runs.ends[:-1]
        numbers[0] += dialect.base
    else:
        numbers[0::2] += dialect.base
    # Python formats a list of integers four times as fast as it joins their strings.
    return str(numbers.tolist())[1:-1].replace(",", "")


def encode(mask: Any, dialect: str | Dialect) -> str:
    """Return the mask as text; exact for every mask, the last pixel and a full mask included.

    Args:
        mask: (H, W) of booleans or of the whole numbers 0 and 1; array, nested list or tensor.
        dialect: how to write it: a name in `DIALECTS`, or a `Dialect`.

    Raises:
        InputError: the mask has another shape, dtype or values, or there is no such dialect.

    >>> encode([[0, 1], [1, 1]], "kaggle")
    '2 3'
    """
    dialect = get_dialect(dialect)
    return format_runs(runs_of_mask(as_mask(mask), dialect.order), dialect)


def decode(
    text: object, height: int, width: int, dialect: str | Dialect, *, name: str = ""
) -> NDArray[np.uint8]:
    """Return the mask, (H, W) uint8 of 0 and 1; in column order it is a transposed view.

    Args:
        text: the cell; None, NaN, "" and "-1" are empty masks in every dialect.
        height: of the image, in pixels.
        width: of the image, in pixels.
        dialect: how the text is written: a name in `DIALECTS`, or a `Dialect`.
        name: what errors call the cell, e.g. the image id.

    Raises:
        MalformedRunsError: as `parse`, runs beyond the image included.
        InputError: the size is not two whole numbers of at least 1, or there is no such dialect.

    >>> decode("2 3", 2, 2, "kaggle").tolist()
    [[0, 1], [1, 1]]
    """
    dialect = get_dialect(dialect)
    whole = all(isinstance(side, int | np.integer) and side >= 1 for side in (height, width))
    if not whole:
        raise InputError(
            f"expected the image's height and width in whole pixels, found {height!r} and "
            f"{width!r}. Pass them in this order: decode(text, height, width, dialect)."
        )
    runs = parse(text, dialect, pixels=int(height) * int(width), name=name)
    return mask_of_runs(runs, int(height), int(width), dialect.order)


def _numbers(text: str, name: str) -> NDArray[np.int64]:
    """Return the whole numbers of a cell."""
    if text.isascii() and not text.encode().translate(None, _PLAIN):
        numbers = np.fromstring(text, dtype=np.int64, sep=" ")
    else:
        tokens = text.split()
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


def _clipped(token: str) -> int:
    digits = token.lstrip("-")
    if len(digits) < len(str(_LARGEST)):
        return int(token)
    return 2 * _LARGEST if digits == token else -_LARGEST
