"""Malformed run-length encodings: the checks, and their error."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.pixel_runs import Runs
from goldfold.errors import RunLengthError, plural
from goldfold.vocabulary import RunForm

Fault = Literal[
    "not-a-number", "float", "odd-count", "bad-length", "out-of-bounds", "overlap", "order",
    "form", "other-size",
]  # fmt: skip
"""What can be wrong with a run-length encoding."""

_WHOLE = re.compile(r"-?[0-9]+")
_FRACTION = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")


class MalformedRunsError(RunLengthError):
    """A cell is not a run-length encoding; `fault` is the kind of fault."""

    def __init__(self, fault: Fault, message: str, name: str = "") -> None:
        super().__init__(f"{name}: {message}" if name else message)
        self.fault = fault


def check_token(token: str, position: int, name: str) -> None:
    """Raise an error unless a token is a whole number; `position` counts from 1."""
    if _WHOLE.fullmatch(token):
        return
    if _FRACTION.fullmatch(token):
        raise MalformedRunsError(
            "float",
            f"number {position} ({shorten(token)}) is written as a decimal fraction; "
            "expected whole numbers without a point",
            name,
        )
    raise MalformedRunsError(
        "not-a-number", f"number {position} ({shorten(token)}) is not a whole number", name
    )


def check_lengths(
    runs: Runs, numbers: NDArray[np.int64], form: RunForm = "start-length", name: str = ""
) -> None:
    """Raise an error if a run is shorter than 1 pixel."""
    bad = np.flatnonzero(runs.lengths < 1)
    if not bad.size:
        return
    first, second = 2 * int(bad[0]), 2 * int(bad[0]) + 1
    number = f"number {second + 1} ({numbers[second]})"
    if form in ("start-last", "start-stop"):
        what = "last pixel" if form == "start-last" else "pixel after the last"
        rest = f"is the {what} of a run that starts at {numbers[first]}; expected runs of 1 or more"
    else:
        rest = "is the length of a run; expected 1 or more"
    raise MalformedRunsError("bad-length", f"{number} {rest}", name)


def check_order(runs: Runs, numbers: NDArray[np.int64], name: str) -> None:
    """Raise an error if runs overlap or are not sorted."""
    bad = np.flatnonzero(runs.starts[1:] < runs.ends[:-1])
    if not bad.size:
        return
    run = int(bad[0]) + 1
    position, start = 2 * run + 1, numbers[2 * run]
    if runs.ends[run] <= runs.starts[run - 1]:
        raise MalformedRunsError(
            "order",
            f"number {position} ({start}) starts a run that lies before the previous run; "
            "expected runs in ascending order",
            name,
        )
    raise MalformedRunsError(
        "overlap",
        f"number {position} ({start}) starts a run that overlaps the previous run",
        name,
    )


def check_bounds(
    runs: Runs, numbers: NDArray[np.int64], base: int, pixels: int | None, name: str
) -> None:
    """Raise an error if a run starts before the first pixel or ends beyond the image.

    Args:
        runs: the runs, counted from 0.
        numbers: the numbers of the cell.
        base: number of the first pixel.
        pixels: number of pixels of the image, None if it is not known.
        name: name of the cell in messages.
    """
    before = np.flatnonzero(runs.starts < 0)
    if before.size:
        position = 2 * int(before[0]) + 1
        raise MalformedRunsError(
            "out-of-bounds",
            f"number {position} ({numbers[position - 1]}) starts a run before the first pixel, "
            f"which is pixel {base}",
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


def shorten(token: str) -> str:
    """Return a token in quotes, at most 20 characters of it."""
    return repr(token if len(token) <= 20 else token[:17] + "...")
