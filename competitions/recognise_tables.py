"""Recognises CSV tables of unknown competitions: labels or sample, content of columns, ids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_text import read_whole_table
from goldfold.competitions.image import read_header
from goldfold.competitions.rle import DIALECTS, get_dialect, is_empty, parse
from goldfold.competitions.table_ids import Ids
from goldfold.errors import ImageError, InputError, RunLengthError
from goldfold.settings_competition import MOST_MASKS

LOOKED_AT = 300  # rows of a table that are examined
_RUNS = re.compile(r"\s*-?\d+(\s+\d+)+\s*")
_SAMPLE = re.compile(r"sample|submission", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """A CSV file and its rows as text."""

    path: Path
    rows: pd.DataFrame


def open_table(path: Path) -> Table | None:
    """Return a table, None if it cannot be read."""
    try:
        rows = read_whole_table(path)
    except InputError:
        return None
    return Table(path, rows) if len(rows.columns) else None


def label_table(tables: Sequence[Table]) -> Table | None:
    """Return the largest table with labels that is not a sample."""
    named = [table for table in tables if not _SAMPLE.search(table.path.stem)]
    labelled = [
        table for table in named if rle_column(table) or flag_columns(table) or names_column(table)
    ]
    return max(labelled, key=lambda table: len(table.rows), default=None)


def sample_table(tables: Sequence[Table], labels: Table | None) -> Table | None:
    """Return the largest table that is called a sample or a submission."""
    named = [table for table in tables if _SAMPLE.search(table.path.stem) and table is not labels]
    return max(named, key=lambda table: len(table.rows), default=None)


def rle_column(table: Table) -> str | None:
    """Return the column that holds run-length encodings."""
    for name in table.rows.columns[1:]:
        cells = table.rows[name].head(LOOKED_AT)
        filled = [cell for cell in cells if not is_empty(cell)]
        if filled and all(_RUNS.fullmatch(cell) for cell in filled):
            return str(name)
    return None


def flag_columns(table: Table) -> list[str]:
    """Return the columns that contain only 0 and 1; none if each is constant."""
    flags = {"0", "1", "0.0", "1.0"}
    values = {
        str(name): set(table.rows[name].head(LOOKED_AT).str.strip())
        for name in table.rows.columns[1:]
    }
    flag_names = [name for name, cells in values.items() if cells and cells <= flags]
    return flag_names if any(len(set(map(float, values[name]))) > 1 for name in flag_names) else []


def names_column(table: Table) -> str | None:
    """Return the column with a few recurring names, which are classes."""
    for name in table.rows.columns[1:]:
        cells = table.rows[name].str.strip()
        kinds = cells.nunique()
        if 2 <= kinds <= min(50, len(cells) // 3) and not cells.str.fullmatch(r"[\d. ]*").any():
            return str(name)
    return None


def best_dialect(table: Table, column: str, train: Sequence[Path]) -> tuple[str, str]:
    """Return the dialect that fits most cells, and a line that says how many."""
    cells = [cell for cell in table.rows[column] if not is_empty(cell)][:LOOKED_AT]
    pixels = None
    try:
        header = read_header(train[0])
        pixels = header.height * header.width
    except (ImageError, IndexError):
        pass
    fits = Counter[str]()
    for name in DIALECTS:
        for cell in cells:
            try:
                parse(cell, get_dialect(name), pixels=pixels)
            except RunLengthError:
                continue
            fits[name] += 1
    starts = {int(cell.split()[0]) for cell in cells}
    order = ["kaggle", "siim", "row-major", "row-major-0", "kaggle-dash"]
    if 0 in starts or (table.rows[column].str.strip() == "-1").any():
        order = ["siim", "row-major-0", "kaggle", "row-major", "kaggle-dash"]
    best = max(order, key=lambda name: (fits[name], -order.index(name)))
    return best, f"run-length dialect {best}: fits {fits[best]} of {len(cells)} masks examined"


def mask_classes(table: Table, ids: Ids, rle: str) -> tuple[str | None, list[str]]:
    """Return the column with the classes of the masks, None without, and the sorted class names.

    Args:
        table: a table whose rows are masks.
        ids: the result of `match_ids`.
        rle: its column of run-length encodings.
    """
    first = str(table.rows.columns[0])
    if ids.joined:
        names = table.rows[first].str.strip().str.rsplit("_", n=1).str[1]
        return None, sorted(set(names.dropna()))
    several = table.rows[first].str.strip().duplicated().any()
    for column in table.rows.columns[1:]:
        cells = table.rows[column].str.strip()
        few = 2 <= cells.nunique() <= min(MOST_MASKS, max(2, len(cells) // 3))
        if column != rle and several and few and not (cells == "").any():
            return str(column), sorted(set(cells))
    return None, []
