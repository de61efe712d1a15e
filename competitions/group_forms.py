"""Values of a group column that differ in form only, such as 7 and 007."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"0*(\d+?)(?:\.0)?")


def one_form(values: Sequence[str]) -> list[str]:
    """Return the values, those that differ in form only as the first of them.

    Forms differ in case, leading zeros or a `.0` at the end. If such values are not the same
    patient, little is lost by keeping them together; if they are, the patient would leak.

    >>> one_form(["7", "p1", "007", "P1", ""])
    ['7', 'p1', '7', 'p1', '']
    """
    first: dict[str, str] = {}
    same = {value: first.setdefault(_plain(value), value) for value in dict.fromkeys(values)}
    return [same[value] for value in values]


def alike(values: Sequence[str]) -> list[str]:
    """Return which values `one_form` replaces.

    >>> alike(["7", "p1", "007", "p2"])
    ['7 = 007']
    """
    different = list(dict.fromkeys(values))
    pairs = zip(one_form(different), different, strict=True)
    return [f"{form} = {value}" for form, value in pairs if form != value]


def _plain(value: str) -> str:
    number = _NUMBER.fullmatch(value)
    return number.group(1) if number else value.casefold()
