"""Cells that name several classes: `Effusion|Mass`, `0 16`, `No Finding`."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.class_cells import BLANK, ClassNames
from goldfold.errors import first_few, plural
from goldfold.settings import LabelTable

SEPARATORS = ("|", ";", ",", " ", "/", "+")
"""What may separate the names of a cell, in the order in which it is tried."""
BRACKETED = re.compile(r"\s*\[(.*)\]\s*", re.DOTALL)


def split_cell(cell: str, separator: str) -> list[str]:
    """Return the names in a cell, without spaces around them and without empty ones.

    The brackets and quotation marks of a list as Python or JSON writes it are dropped.

    >>> split_cell(" Mass| Effusion|", "|"), split_cell("0  16", " ")
    (['Mass', 'Effusion'], ['0', '16'])
    >>> split_cell("['Mass', 'Effusion']", ","), split_cell("[]", ",")
    (['Mass', 'Effusion'], [])
    """
    signs = string.whitespace
    if bracketed := BRACKETED.fullmatch(cell):
        cell, signs = bracketed.group(1), signs + "'\""
    parts = cell.split() if separator == " " else cell.split(separator)
    return [name for part in parts if (name := part.strip(signs))]


def read_lists(
    cells: pd.Series, path: Path, labels: LabelTable, classes: Sequence[str]
) -> tuple[NDArray[np.float64], list[str]]:
    """Return the targets of each row, 0 or 1 (R, C), and problems.

    Args:
        cells: text, with line numbers as index.
        path: path of the table.
        labels: settings of the table.
        classes: C names.
    """
    names = ClassNames(path, classes, labels)
    shares = np.zeros((len(cells), len(classes)))
    empty, mixed = [], []
    for place, (row, cell) in enumerate(cells.items()):
        number = int(str(row))
        listed = split_cell(cell, labels.list_separator)
        if not listed or (len(listed) == 1 and listed[0].lower() in BLANK - {"none"}):
            empty.append(str(number))
            continue
        if labels.none_name is not None and labels.none_name in listed:
            if len(set(listed)) > 1:
                mixed.append(str(number))
            continue
        for name in listed:
            of_name = names.place(name, number)
            if of_name is not None:
                shares[place, of_name] = 1.0
    problems = names.problems(_advice(cells, labels, classes))
    if empty and labels.share_of("", "") is None:
        problems.append(
            f"{plural(len(empty), 'cell names', 'cells name')} no class in {path.name} (row "
            f'{first_few(empty, limit=3)}): set blank = "zeros" in [competition.labels] of '
            "goldfold.toml if that means none of the classes"
        )
    if mixed:
        problems.append(
            f"{plural(len(mixed), 'row', 'rows')} of {path.name} with {labels.none_name} beside "
            f"classes: row {first_few(mixed)}. Correct them."
        )
    return shares, problems


def _advice(cells: pd.Series, labels: LabelTable, classes: Sequence[str]) -> str:
    """Return which separator would give more names that are classes, "" if none does."""
    known = {*classes, labels.none_name}
    some = list(cells.drop_duplicates())

    def fitting(separator: str) -> int:
        return sum(name in known for cell in some for name in split_cell(cell, separator))

    best = max(SEPARATORS, key=fitting)
    if fitting(best) <= fitting(labels.list_separator):
        return ""
    return f' Is list_separator = "{best}"?'
