"""Run-length encodings of masks, in the dialects in which competitions write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.pixels import as_mask
from goldfold.competitions.runs import (
    NO_RUNS,
    Order,
    Runs,
    area_px,
    intersection_px,
    mask_of_runs,
    merge_runs,
    runs_of_mask,
)
from goldfold.errors import InputError, RunLengthError, did_you_mean, plural

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

Fault = Literal[
    "not-a-number", "float", "odd-count", "bad-length", "out-of-bounds", "overlap", "order"
]
"""What can be wrong with a run-length encoding."""

_PLAIN = b"0123456789 \t\r\n"
_WHOLE = re.compile(r"-?[0-9]+")
_FRACTION = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_LARGEST = 10**12
"""Larger numbers are refused: no image has as many pixels, and sums of them could overflow."""


@dataclass(frozen=True)
class Dialect:
    """One way of writing a mask as numbers `start length start length ...`."""

    name: str
    order: Order
    """Along which the pixels are counted."""
    base: int
    """Number of the first pixel: 0 or 1."""
    gaps: Literal["absolute", "relative"]
    """A start is a position, or (after the first) the gap since the end of the run before."""
    empty: str
    """What is written for an empty mask."""


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


class MalformedRunsError(RunLengthError):
    """One cell is not a run-length encoding; `fault` says in one word why."""

    def __init__(self, fault: Fault, message: str, name: str = "") -> None:
        super().__init__(f"{name}: {message}" if name else message)
        self.fault = fault


def get_dialect(name: str | Dialect) -> Dialect:
    """Return the dialect of that name; a dialect is returned as it is.

    Raises:
        InputError: there is none.
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
    raise InputError(f"unknown run-length dialect {name!r}; there are {', '.join(DIALECTS)}.{hint}")


def is_empty(text: object) -> bool:
    """Return whether a label cell stands for an empty mask, however it was read.

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
    """Return the runs that a cell describes, counted from 0 along the dialect's order.

    Reading is tolerant of spaces and of any usual token for an empty mask; touching runs
    become one.

    Args:
        text: the cell, normally a string.
        dialect: how it is written.
        pixels: pixels of the image, if runs beyond it are to be refused.
        name: what errors call the cell, e.g. the image id.
        allow_overlap: unite runs that overlap or are out of order instead of refusing them.

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
    _check_lengths(numbers, name)
    if not allow_overlap:
        _check_order(runs, numbers, name)
    _check_bounds(runs, numbers, dialect, pixels, name)
    return merge_runs([runs])


def _is_plain(runs: Runs, ends: NDArray[np.int64], pixels: int | None) -> bool:
    """Return whether runs are in order, apart and inside, as nearly all are: nothing is to do."""
    starts = runs.starts
    return bool(
        len(starts)
        and starts[0] >= 0
        and (pixels is None or ends[-1] <= pixels)
        and runs.lengths.min() > 0
        and (starts[1:] > ends[:-1]).all()
    )


def format_runs(runs: Runs, dialect: Dialect) -> str:
    """Return the runs as text of the dialect, single spaces between the numbers.

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
    # Python prints a list of integers four times faster than it joins their strings.
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
    """Return the mask as (H, W) uint8 of 0 and 1; in column order a transposed view.

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
            _check_token(token, position, name)
        numbers = np.array([_clipped(token) for token in tokens], np.int64)
    large = np.flatnonzero(numbers > _LARGEST)
    if large.size:
        raise MalformedRunsError(
            "out-of-bounds",
            f"number {large[0] + 1} ({_shorten(text.split()[large[0]])}) lies beyond any image",
            name,
        )
    return numbers


def _clipped(token: str) -> int:
    digits = token.lstrip("-")
    if len(digits) < len(str(_LARGEST)):
        return int(token)
    return 2 * _LARGEST if digits == token else -_LARGEST


def _check_token(token: str, position: int, name: str) -> None:
    if _WHOLE.fullmatch(token):
        return
    if _FRACTION.fullmatch(token):
        raise MalformedRunsError(
            "float",
            f"number {position} ({_shorten(token)}) is written as a decimal fraction; "
            "expected whole numbers without a point",
            name,
        )
    raise MalformedRunsError(
        "not-a-number", f"number {position} ({_shorten(token)}) is not a whole number", name
    )


def _check_lengths(numbers: NDArray[np.int64], name: str) -> None:
    bad = np.flatnonzero(numbers[1::2] < 1)
    if bad.size:
        position = 2 * int(bad[0]) + 2
        raise MalformedRunsError(
            "bad-length",
            f"number {position} ({numbers[position - 1]}) is the length of a run; "
            "expected 1 or more",
            name,
        )


def _check_order(runs: Runs, numbers: NDArray[np.int64], name: str) -> None:
    bad = np.flatnonzero(runs.starts[1:] < runs.ends[:-1])
    if not bad.size:
        return
    run = int(bad[0]) + 1
    position, start = 2 * run + 1, numbers[2 * run]
    if runs.ends[run] <= runs.starts[run - 1]:
        raise MalformedRunsError(
            "order",
            f"number {position} ({start}) starts a run that lies before the one ahead of it; "
            "expected runs in rising order",
            name,
        )
    raise MalformedRunsError(
        "overlap",
        f"number {position} ({start}) starts a run that overlaps the one ahead of it",
        name,
    )


def _check_bounds(
    runs: Runs, numbers: NDArray[np.int64], dialect: Dialect, pixels: int | None, name: str
) -> None:
    before = np.flatnonzero(runs.starts < 0)
    if before.size:
        position = 2 * int(before[0]) + 1
        raise MalformedRunsError(
            "out-of-bounds",
            f"number {position} ({numbers[position - 1]}) starts a run before the first pixel, "
            f"which is number {dialect.base}",
            name,
        )
    if pixels is None:
        return
    beyond = np.flatnonzero(runs.ends > pixels)
    if beyond.size:
        run = int(beyond[0])
        raise MalformedRunsError(
            "out-of-bounds",
            f"the run of numbers {2 * run + 1} and {2 * run + 2} ({numbers[2 * run]} "
            f"{numbers[2 * run + 1]}) ends "
            f"{plural(int(runs.ends[run] - pixels), 'pixel', 'pixels')} beyond the image of "
            f"{plural(pixels, 'pixel', 'pixels')}",
            name,
        )


def _shorten(token: str) -> str:
    return repr(token if len(token) <= 20 else token[:17] + "...")
