"""Masks as counts of pixels outside, inside, outside and so on, in letters or numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.coco_counts import from_letters, pack, read_object, to_letters, unpack
from goldfold.competitions.dialect import Dialect
from goldfold.competitions.malformed_runs import MalformedRunsError
from goldfold.competitions.pixel_runs import NO_RUNS, Runs, merge_runs
from goldfold.competitions.run_numbers import read_numbers, write_numbers
from goldfold.errors import plural

_OBJECT = ("{", '"', "'", "b'", 'b"')
"""How an object or text in quotes begins, and COCO's letters never do."""


@dataclass(frozen=True)
class Counts:
    """What a cell with counts says.

    Attributes:
        counts: (C,) int64, pixels outside, inside, outside ...
        size: height and width, where the cell states them.
    """

    counts: NDArray[np.int64]
    size: tuple[int, int] | None = None

    @property
    def pixels(self) -> int:
        """Return how many pixels the image has; only images.csv leaves out those after the mask."""
        return int(self.counts.sum())

    def runs(self) -> Runs:
        """Return the runs of the mask."""
        ends = np.cumsum(self.counts)[1::2]
        lengths = self.counts[1::2]
        runs = Runs((ends - lengths)[lengths > 0], lengths[lengths > 0])
        return merge_runs([runs]) if len(runs) else NO_RUNS


def parse_counts(
    text: str,
    dialect: Dialect,
    *,
    pixels: int | None = None,
    name: str = "",
    strict: bool = False,
) -> Counts:
    """Return the counts of a cell: letters, numbers, or COCO's object of counts and size.

    Args:
        text: the cell.
        dialect: of runs `counts`.
        pixels: of the image; None = not known.
        name: of the cell in messages.
        strict: accept only what the dialect would write, which counts all pixels.

    Raises:
        MalformedRunsError: no such counts, or counts of another number of pixels.
    """
    token = text.strip()
    size = None
    if token.startswith(_OBJECT) and not strict:
        stated = read_object(token, name)
        size, given = stated.size, stated.counts
        letters = unpack(given, dialect.text, name) if isinstance(given, str) else ""
        counts = given if not isinstance(given, str) else _counts(letters, dialect, name)
    elif dialect.text == "numbers" or (not strict and _are_numbers(token)):
        counts = read_numbers(text, dialect, name, strict=strict and dialect.text == "numbers")
    else:
        counts = from_letters(unpack(token, dialect.text, name), name)
    read = Counts(counts, size)
    _check(read, pixels, name, strict)
    return read


def format_counts(runs: Runs, dialect: Dialect, pixels: int | None) -> str:
    """Return runs as counts; without `pixels` as numbers that end with the last run."""
    counts = np.empty(2 * len(runs), np.int64)
    counts[0::2] = runs.starts
    counts[1::2] = runs.lengths
    counts[2::2] -= runs.ends[:-1]
    if pixels is None:
        return str(counts.tolist())[1:-1].replace(",", "")
    after = pixels - int(runs.ends[-1])
    if after:
        counts = np.append(counts, after)
    if dialect.text == "numbers":
        return write_numbers(counts, dialect)
    return pack(to_letters(counts), dialect.text)


def _counts(letters: str, dialect: Dialect, name: str) -> NDArray[np.int64]:
    """Return the counts of an object's text, which may be numbers after all."""
    if _are_numbers(letters):
        return read_numbers(letters, dialect, name)
    return from_letters(letters, name)


def _are_numbers(token: str) -> bool:
    """Return whether a cell is a list of numbers.

    COCO's letters have neither spaces nor commas and cannot end with "]", which has more to follow.
    """
    return "," in token or len(token.split()) > 1 or token.endswith(("]", ")"))


def _check(read: Counts, pixels: int | None, name: str, strict: bool) -> None:
    """Raise an error unless counts are of an image of that many pixels."""
    negative = np.flatnonzero(read.counts < 0)
    if negative.size:
        place = int(negative[0])
        raise MalformedRunsError(
            "bad-length",
            f"count {place + 1} ({read.counts[place]}) is negative; expected 0 or more",
            name,
        )
    covered = int(read.counts.sum())
    if read.size is not None:
        pixels = read.size[0] * read.size[1] if pixels is None else pixels
        if covered != read.size[0] * read.size[1]:
            raise MalformedRunsError(
                "other-size",
                f"the counts are of {plural(covered, 'pixel', 'pixels')}, their size is "
                f"{read.size[0]} x {read.size[1]}",
                name,
            )
    whole = strict or bool(read.counts.size % 2) or read.size is not None
    if pixels is not None and (covered != pixels if whole else covered > pixels):
        raise MalformedRunsError(
            "out-of-bounds" if covered > pixels else "other-size",
            f"the counts are of {plural(covered, 'pixel', 'pixels')}, the image has "
            f"{plural(pixels, 'pixel', 'pixels')}",
            name,
        )
