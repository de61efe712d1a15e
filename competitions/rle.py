"""Run-length encodings of masks, in the dialects that competitions use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.dialect import DIALECTS, Dialect, DialectLike, get_dialect
from goldfold.competitions.malformed_runs import (
    MalformedRunsError,
    check_bounds,
    check_lengths,
    check_order,
)
from goldfold.competitions.pixel_runs import (
    NO_RUNS,
    Runs,
    area_px,
    intersection_px,
    mask_of_runs,
    merge_runs,
    runs_of_mask,
)
from goldfold.competitions.pixels import as_mask
from goldfold.competitions.run_counts import format_counts, parse_counts
from goldfold.competitions.run_numbers import PAIRS, read_numbers, write_numbers
from goldfold.errors import InputError

__all__ = [
    "DIALECTS",
    "Dialect",
    "DialectLike",
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

_EMPTY = frozenset(
    {"", "-1", "-1.0", "nan", "none", "null", "na", "n/a", "<na>", "[]", "()", "{}", '""', "''"}
)
_LONGEST_EMPTY = max(map(len, _EMPTY))


def is_empty(text: object) -> bool:
    """Return whether a label cell is an empty mask, whatever type it was read as.

    >>> [is_empty(cell) for cell in (" -1", -1, -1.0, "", None, float("nan"), "None", "5 2")]
    [True, True, True, True, True, True, True, False]
    """
    if isinstance(text, str):
        token = text.strip()
        return len(token) <= _LONGEST_EMPTY and token.lower() in _EMPTY
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
    strict: bool = False,
) -> Runs:
    """Return the runs that a cell describes, counted from 0 in the dialect's order.

    Reading is tolerant: brackets, commas, 3.0 for 3, and all usual tokens for an empty mask are
    accepted in every dialect, as is a single run of length 0 at the first pixel; touching runs
    become one.

    Args:
        text: the cell, normally a string.
        dialect: the dialect it is written in.
        pixels: number of pixels of the image, to refuse runs beyond it; None = not known.
        name: name of the cell in messages, e.g. the image id.
        allow_overlap: merge runs that overlap or are out of order instead of refusing them.
        strict: accept only what the dialect would write, but for spaces and touching runs.

    Raises:
        MalformedRunsError: an odd count of numbers, something that is not a whole number, a
            length below 1, a run beyond the image, counts of another number of pixels, or (unless
            allowed) overlapping or unsorted runs. The message says which number of the cell,
            counted from 1.
    """
    if isinstance(text, str) and text.strip() == dialect.empty:
        return NO_RUNS
    if is_empty(text) and not strict:
        return NO_RUNS
    if dialect.runs == "counts":
        return parse_counts(str(text), dialect, pixels=pixels, name=name, strict=strict).runs()
    numbers = read_numbers(str(text), dialect, name, strict=strict)
    if numbers.size % 2 or not numbers.size:
        raise MalformedRunsError(
            "odd-count",
            f"expected pairs {PAIRS[dialect.runs]!r}, found an odd count of numbers "
            f"({numbers.size})",
            name,
        )
    if not strict and numbers.size == 2 and _is_nothing(numbers, dialect):
        return NO_RUNS
    runs = _runs_of_pairs(numbers, dialect)
    if _is_plain(runs, runs.ends, pixels):
        return runs
    check_lengths(runs, numbers, dialect.runs, name)
    if not allow_overlap:
        check_order(runs, numbers, name)
    check_bounds(runs, numbers, dialect.base, pixels, name)
    return merge_runs([runs])


def _runs_of_pairs(numbers: NDArray[np.int64], dialect: Dialect) -> Runs:
    """Return the runs that pairs of numbers stand for, in any order and of any length."""
    starts, lengths = numbers[0::2], numbers[1::2]
    if dialect.runs == "gap-length":
        starts = np.cumsum(numbers)[0::2]
    elif dialect.runs != "start-length":
        lengths = lengths - starts + (dialect.runs == "start-last")
    return Runs(starts - dialect.base if dialect.base else starts, lengths)


def _is_nothing(numbers: NDArray[np.int64], dialect: Dialect) -> bool:
    """Return whether the only run has no pixel, as in "1 0" and "0 0", which stand for no mask."""
    of_lengths = dialect.runs in ("start-length", "gap-length")
    return of_lengths and bool(numbers[1] == 0 and numbers[0] in (0, 1))


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


def format_runs(runs: Runs, dialect: Dialect, *, pixels: int | None = None) -> str:
    """Return the runs as text in the dialect.

    Args:
        runs: of the mask.
        dialect: how to write it.
        pixels: number of pixels of the image. Counts end with the pixels after the last run and are
            packed if it is given; without it they are numbers that end with that run, which `parse`
            reads alike.

    >>> runs = parse("1 3 10 5", get_dialect("kaggle"))
    >>> format_runs(runs, get_dialect("siim"))
    '0 3 6 5'
    """
    if not len(runs):
        return dialect.empty
    if dialect.runs == "counts":
        return format_counts(runs, dialect, pixels)
    numbers = np.empty(2 * len(runs), np.int64)
    numbers[0::2] = runs.starts
    numbers[1::2] = runs.lengths
    if dialect.runs == "gap-length":
        numbers[2::2] -= runs.ends[:-1]
        numbers[0] += dialect.base
        return write_numbers(numbers, dialect)
    if dialect.runs != "start-length":
        numbers[1::2] += runs.starts - (dialect.runs == "start-last")
        numbers += dialect.base
    else:
        numbers[0::2] += dialect.base
    return write_numbers(numbers, dialect)


def encode(mask: Any, dialect: DialectLike) -> str:
    """Return the mask as text; exact for every mask, the last pixel and a full mask included.

    Args:
        mask: (H, W) of booleans or of the whole numbers 0 and 1; array, nested list or tensor.
        dialect: how to write it: a name in `DIALECTS`, a `Dialect`, or a table of settings.

    Raises:
        InputError: the mask has another shape, dtype or values, or there is no such dialect.

    >>> encode([[0, 1], [1, 1]], "kaggle")
    '2 3'
    """
    dialect, mask = get_dialect(dialect), as_mask(mask)
    return format_runs(runs_of_mask(mask, dialect.order), dialect, pixels=mask.size)


def decode(
    text: object,
    height: int,
    width: int,
    dialect: DialectLike,
    *,
    name: str = "",
) -> NDArray[np.uint8]:
    """Return the mask, (H, W) uint8 of 0 and 1; in column order it is a transposed view.

    Args:
        text: the cell; None, NaN, "" and "-1" are among the empty masks of every dialect.
        height: of the image, in pixels.
        width: of the image, in pixels.
        dialect: how the text is written: a name in `DIALECTS`, a `Dialect`, or a table of settings.
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
