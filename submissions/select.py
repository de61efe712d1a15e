"""The two submissions to hand in: the best, and the most different one that is nearly as good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from goldfold.errors import InputError


@dataclass(frozen=True)
class Selection:
    """Two submissions by name.

    Attributes:
        best: the one with the best honest score.
        other: the one that agrees least with it, among those within the tolerance; None if none is.
        agreement: by name, how much each candidate agrees with the best one.
        too_low: names whose score lies below the tolerance.
    """

    best: str
    other: str | None
    agreement: Mapping[str, float]
    too_low: tuple[str, ...]


def select_two(
    honest: Mapping[str, float], agreement_of: Callable[[str, str], float], tolerance: float
) -> Selection:
    """Return the two to hand in.

    Two like submissions are one ticket bought twice; a different one that may score as well is a
    second chance.

    Args:
        honest: name -> honest score, in an order that decides between equals.
        agreement_of: how much two submissions agree, 1 for equal ones.
        tolerance: how far below the best honest score the second may lie.

    Raises:
        InputError: fewer than two submissions, or a negative tolerance.
    """
    if len(honest) < 2:
        raise InputError(f"expected at least two submissions to select from, found {len(honest)}.")
    if tolerance < 0:
        raise InputError(f"expected a tolerance of 0 or more, found {tolerance}.")
    best = max(honest, key=lambda name: honest[name])
    agreement = {name: agreement_of(best, name) for name in honest if name != best}
    near = [name for name in agreement if honest[name] >= honest[best] - tolerance]
    other = min(near, key=lambda name: agreement[name]) if near else None
    return Selection(best, other, agreement, tuple(n for n in agreement if n not in near))
