"""Cells of label tables: flags, shares, blanks, uncertain ones, and names of classes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.csv_layout import has_decimal_comma
from goldfold.errors import did_you_mean, first_few, plural
from goldfold.settings import LabelTable

_WORDS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
BLANK = frozenset({"", "nan", "na", "n/a", "none", "null", "[]"})
UNCERTAIN = -1.0
_SHOWN = 20
_SPACES = re.compile(r"[\s_]+")


class Flags:
    """Reads cells that say whether an image has a class, and collects what they leave open."""

    def __init__(self, path: Path, labels: LabelTable) -> None:
        """Take the table and the settings about its cells."""
        self.path, self.labels = path, labels
        self._blank: dict[str, list[int]] = {}
        self._uncertain: dict[str, list[int]] = {}
        self._fractions: dict[str, list[int]] = {}
        self._wrong: list[str] = []

    def read(self, cells: pd.Series, column: str, name: str | None = None) -> NDArray[np.float64]:
        """Return the target of each cell, 0 to 1, NaN where it is not settled.

        Args:
            cells: text, with line numbers as index.
            column: where they are.
            name: the class, where the column is of one class; it settles blanks and uncertain ones.
        """
        words = cells.str.strip().str.lower()
        codes, different = pd.factorize(words)
        known = np.array([self._share(word, name or column) for word in different])
        shares: NDArray[np.float64] = known[codes] if len(known) else np.zeros(0)
        open_cells = cells[np.isnan(shares)]
        wrong = 0
        for row, cell in open_cells.items():
            wrong += self._collect(int(str(row)), str(cell), column, name or column, wrong)
        if wrong > _SHOWN:
            more = f"{self.path.name}: {wrong - _SHOWN:,} more such rows in {column}"
            self._wrong.append(more)
        return shares

    def problems(self) -> list[str]:
        """Return what is wrong or open, one line each, with the line that settles it."""
        return [
            *self._wrong,
            *self._question(
                self._blank, "empty", 'blank = "zeros" if they mean that the class is absent'
            ),
            *self._question(
                self._uncertain,
                "-1",
                'uncertain = "ones", "zeros" or a share such as 0.5, for all or for each class',
            ),
            *self._question(self._fractions, "between 0 and 1", "soft = true if they are shares"),
        ]

    def _share(self, word: str, name: str) -> float:
        if word in _WORDS:
            return _WORDS[word]
        if word in BLANK:
            return _or_nan(self.labels.share_of("", name))
        number = _number(word)
        if number == UNCERTAIN:
            return _or_nan(self.labels.share_of(word, name))
        whole = number in (0.0, 1.0)
        return number if whole or (self.labels.soft and 0 <= number <= 1) else math.nan

    def _collect(self, row: int, cell: str, column: str, name: str, wrong: int) -> bool:
        """Keep a cell that is not settled; return whether nothing can settle it."""
        word = cell.strip().lower()
        number = _number(word)
        if word in BLANK:
            self._blank.setdefault(name, []).append(row)
        elif number == UNCERTAIN:
            self._uncertain.setdefault(name, []).append(row)
        elif 0 < number < 1:
            self._fractions.setdefault(name, []).append(row)
        else:
            if wrong < _SHOWN:
                comma = " (write numbers with a point)" if has_decimal_comma(cell) else ""
                line = f"{self.path.name} row {row}: {column} is {cell!r}; expected 0 or 1{comma}"
                self._wrong.append(line)
            return True
        return False

    def _question(self, cells: dict[str, list[int]], what: str, setting: str) -> list[str]:
        if not cells:
            return []
        counts = first_few([f"{len(rows):,} of {name}" for name, rows in cells.items()])
        rows = sorted({row for of_class in cells.values() for row in of_class})
        total = sum(map(len, cells.values()))
        return [
            f"{plural(total, 'cell', 'cells')} of {self.path.name} {'is' if total == 1 else 'are'} "
            f"{what} ({counts}; row "
            f"{first_few([str(row) for row in rows], limit=3)}): set {setting}, in "
            "[competition.labels] of goldfold.toml"
        ]


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def _or_nan(share: float | None) -> float:
    return math.nan if share is None else share


class ClassNames:
    """Reads names of classes, and collects those that are none."""

    def __init__(self, path: Path, classes: Sequence[str], labels: LabelTable) -> None:
        """Take the table, the classes and the settings about their names."""
        self.path, self.classes, self.spelling = path, classes, labels.class_spelling
        self._place = {name: number for number, name in enumerate(classes)}
        self._loose = _unique({name: _plain(name) for name in classes})
        self._numbers = _unique(
            {name: f"{_number(name):g}" for name in classes if not math.isnan(_number(name))}
        )
        self._unknown: dict[str, list[int]] = {}

    def place(self, name: str, row: int) -> int | None:
        """Return the number of a class, None if there is none of that name.

        1.0 is the class 1 where there is no class 1.0.
        """
        if name in self._place:
            return self._place[name]
        as_number = self._numbers.get(f"{_number(name):g}")
        loose = self._loose.get(_plain(name)) if self.spelling == "loose" else None
        known = as_number if as_number is not None else loose
        if known is None:
            self._unknown.setdefault(name, []).append(row)
            return None
        return self._place[known]

    def problems(self, advice: str = "") -> list[str]:
        """Return a line for each unknown name; names of another case or spacing first.

        Args:
            advice: what to do about names that are unlike any class.
        """
        loose = {
            name: rows
            for name, rows in self._unknown.items()
            if self.spelling is None and _plain(name) in self._loose
        }
        lines = [
            f"{self.path.name}: {name!r} ({plural(len(rows), 'row', 'rows')}, first row {rows[0]}) "
            f"differs from the class {self._loose[_plain(name)]!r} in case or spaces only: set "
            'class_spelling = "loose" in [competition.labels] of goldfold.toml if they are the same'
            for name, rows in loose.items()
        ]
        others = {name: rows for name, rows in self._unknown.items() if name not in loose}
        shown = first_few(list(self.classes), limit=_SHOWN)
        blank = sorted(
            row for name in self._unknown if name.lower() in BLANK for row in others.pop(name)
        )
        if blank:
            lines.append(
                f"{plural(len(blank), 'row names', 'rows name')} no class in {self.path.name} (row "
                f"{first_few([str(row) for row in blank], limit=3)}): fill them in, or delete them "
                "if the class is not known"
            )
        for name, rows in list(others.items())[:_SHOWN]:
            more = f" (in {len(rows):,} rows)" if len(rows) > 1 else ""
            lines.append(
                f"{self.path.name} row {rows[0]}: {name!r} is not a class; the classes are "
                f"{shown}.{did_you_mean(name, self.classes)}{advice}{more}"
            )
        if len(others) > _SHOWN:
            lines.append(f"{self.path.name}: {len(others) - _SHOWN:,} more names are not classes")
        return lines


def _plain(name: str) -> str:
    return _SPACES.sub(" ", name).strip().casefold()


def _unique(forms: dict[str, str]) -> dict[str, str]:
    """Return form -> name where a single name has that form."""
    every = list(forms.values())
    return {form: name for name, form in forms.items() if every.count(form) == 1}
