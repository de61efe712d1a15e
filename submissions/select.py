"""Selects two submissions: the best, and the most different one that is nearly as good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from goldfold.errors import InputError


@dataclass(frozen=True)
class Selection:
    """The names of two submissions.

    Attributes:
        best: the submission with the best cross-fitted ("honest") score.
        other: the submission that agrees least with it, among those within the tolerance; None if
            there is none.
        agreement: name of each candidate -> how much it agrees with the best one.
        too_low: names of the submissions whose score is below the tolerance.
    """

    best: str
    other: str | None
    agreement: Mapping[str, float]
    too_low: tuple[str, ...]


def select_two(
    honest: Mapping[str, float], agreement_of: Callable[[str, str], float], tolerance: float
) -> Selection:
    """Return the two submissions to hand in.

    Two similar submissions are little better than one; a different one that may score as well is a
    second chance.

    Args:
        honest: name -> honest score; ties go to the first.
        agreement_of: returns how much two submissions agree, 1 for equal ones.
        tolerance: how far the second one may be below the best honest score.

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
