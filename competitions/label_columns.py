"""What the cells of a column of an unknown table could be: flags, grades, lists, names, numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from goldfold.competitions.class_cells import BLANK
from goldfold.competitions.class_lists import BRACKETED, split_cell
from goldfold.competitions.label_candidate import LIKELY, ORDERED

Content = Literal["flags", "uncertain", "shares", "whole", "number", "lists", "names", "other"]

MOST_NAMES = 50
MOST_GRADES = 20
_FEW = 3
"""A column of names has on average at least as many rows for each; one less if called a label."""
_REPEATED = 1.5
"""The same of a column of grades."""
_FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "true": 1, "false": 0}
_LISTED = ("|", ";")
_ALONE = ("/", "+", ", ", ",", " ")
"""Separators that also stand within names: the parts must occur alone, too."""
_NONE = re.compile(r"no[ _-]?findings?|none|normal|healthy|negative|nofinding|no", re.IGNORECASE)


@dataclass(frozen=True)
class ColumnContent:
    """What a column holds.

    Attributes:
        name: name of the column.
        content: kind of its cells. `uncertain` = flags with blanks or -1; `shares` = numbers from
            0 to 1; `whole` = consecutive whole numbers, of grades also with gaps; `lists` = several
            names in a cell.
        values: different cells (of lists: different names), sorted.
        least: number of rows of the rarest value.
        blanks: number of empty cells.
        unsure: number of cells of -1.
        separator: of lists.
        none_name: of lists and names: what means none of the others; None without.
    """

    name: str
    content: Content
    values: tuple[str, ...] = ()
    least: int = 0
    blanks: int = 0
    unsure: int = 0
    separator: str = ""
    none_name: str | None = field(default=None)


def content_of(name: str, cells: Sequence[str]) -> ColumnContent:
    """Return what a column holds; `other` if it cannot be a label.

    >>> content_of("grade", ["0", "1", "2", "2", "1", "0"]).content
    'whole'
    """
    stripped = [cell.strip() for cell in cells]
    known = [cell for cell in stripped if cell.lower() not in BLANK]
    counts, blanks = Counter(known), len(stripped) - len(known)
    if not known:
        return ColumnContent(name, "other", blanks=blanks)
    if (flags := _as_flags(name, counts, blanks)) is not None:
        return flags
    numbers = [_number(value) for value in counts]
    if not any(math.isnan(number) for number in numbers):
        return _as_numbers(name, counts, numbers, blanks)
    if (lists := _as_lists(name, known, blanks)) is not None:
        return lists
    if (
        2
        <= len(counts)
        <= min(MOST_NAMES, max(2, len(known) // (_FEW - bool(LIKELY.search(name)))))
    ):
        none = next((value for value in counts if _NONE.fullmatch(value)), None)
        values = tuple(sorted(counts))
        return ColumnContent(name, "names", values, min(counts.values()), blanks, none_name=none)
    return ColumnContent(name, "other", blanks=blanks)


def _as_flags(name: str, counts: Counter[str], blanks: int) -> ColumnContent | None:
    """Return a column of 0 and 1, with blanks and -1 or without, None if it is none."""
    lower = {value.lower(): count for value, count in counts.items()}
    unsure = sum(count for value, count in lower.items() if _number(value) == -1)
    flags = {value: count for value, count in lower.items() if _number(value) != -1}
    if not flags or not set(flags) <= set(_FLAGS):
        return None
    of_value = Counter[int]()
    for value, count in flags.items():
        of_value[_FLAGS[value]] += count
    different = len(of_value) + (blanks > 0) + (unsure > 0)
    if different < 2:
        return ColumnContent(name, "other", blanks=blanks)
    if unsure and not blanks and len(of_value) == 1 and 1 in of_value:  # -1 and 1 are two classes
        return None
    content: Content = "uncertain" if unsure or blanks else "flags"
    values = tuple(str(value) for value in sorted(of_value))
    return ColumnContent(name, content, values, min(of_value.values()), blanks, unsure)


def _as_numbers(
    name: str, counts: Counter[str], numbers: Sequence[float], blanks: int
) -> ColumnContent:
    different = sorted(set(numbers))
    rows: Counter[float] = Counter()
    for value, count in counts.items():
        rows[_number(value)] += count
    values, least = tuple(f"{number:g}" for number in different), min(rows.values())
    if len(different) < 2:
        return ColumnContent(name, "other", blanks=blanks)
    whole = all(number.is_integer() for number in different)
    if whole and len(different) == 2 and rows.total() >= _FEW * 2:  # such as 1 and 2
        return ColumnContent(name, "names", values, least, blanks)
    between = [different[0] + step for step in range(int(different[-1] - different[0]) + 1)]
    few = 3 <= len(different) <= MOST_GRADES and rows.total() >= _REPEATED * len(different)
    gaps = len(between) - len(different)
    if whole and few and different[0] in (0.0, 1.0):
        if not gaps:
            return ColumnContent(name, "whole", values, least, blanks)
        if ORDERED.search(name) and gaps < len(different) and len(between) <= MOST_GRADES:
            every = tuple(f"{number:g}" for number in between)
            return ColumnContent(name, "whole", every, 0, blanks)
    if different[0] >= 0 and different[-1] <= 1:
        return ColumnContent(name, "shares", values, least, blanks)
    return ColumnContent(name, "number", values, least, blanks)


def _as_lists(name: str, known: Sequence[str], blanks: int) -> ColumnContent | None:
    """Return a column of lists of recurring names, None if it is none."""
    for separator in (*_LISTED, *_ALONE):
        joined = [cell for cell in known if len(split_cell(cell, separator)) > 1]
        if not joined:
            continue
        listed = [split_cell(cell, separator) for cell in known]
        rows = Counter(part for parts in listed for part in set(parts))
        if not 2 <= len(rows) <= min(2 * MOST_NAMES, max(2, rows.total() // 2)):
            continue
        alone = {parts[0] for parts in listed if len(parts) == 1}
        combined = {part for cell in joined for part in split_cell(cell, separator)}
        whole = all(part.isdigit() for part in rows)
        combinations = len({*known}) > len(rows)  # fewer words than cells
        rare = len(combined & alone) <= len(combined) / 2 and not combinations
        if separator in _ALONE and rare and not (whole or all(map(BRACKETED.fullmatch, known))):
            continue
        none = next((value for value in alone - combined if _NONE.fullmatch(value)), None)
        values = tuple(
            sorted(set(rows) - {none}, key=lambda value: (int(value) if whole else 0, value))
        )
        return ColumnContent(
            name, "lists", values, min(rows.values()), blanks, 0, separator.strip() or " ", none
        )
    return None


def _number(cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
