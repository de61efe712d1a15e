"""CSV tables of unknown competitions: labels or sample, what their columns hold, what ids name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_text import read_csv_text
from goldfold.competitions.find import image_id_of
from goldfold.competitions.image import read_header
from goldfold.competitions.rle import DIALECTS, get_dialect, is_empty, parse
from goldfold.errors import ImageError, InputError, RunLengthError
from goldfold.settings_competition import MOST_MASKS

LOOKED_AT = 300  # rows of a table
NAME_WITH_ENDING = "([^/]+)$"
"""The id pattern of competitions whose ids have `.jpg` at their end."""
_RUNS = re.compile(r"\s*-?\d+(\s+\d+)+\s*")
_SAMPLE = re.compile(r"sample|submission", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """A CSV file: its columns as text, some rows of it."""

    path: Path
    rows: pd.DataFrame


def open_table(path: Path) -> Table | None:
    """Return a table, None if it cannot be read."""
    try:
        header = path.open(encoding="utf-8-sig").readline().strip()
        columns = [cell.strip().strip('"') for cell in header.split(",")]
        return Table(path, read_csv_text(path, columns))
    except (InputError, OSError, UnicodeDecodeError):
        return None


def label_table(tables: Sequence[Table]) -> Table | None:
    """Return the largest table that is no sample and has labels."""
    named = [one for one in tables if not _SAMPLE.search(one.path.stem)]
    labelled = [one for one in named if rle_column(one) or flag_columns(one) or names_column(one)]
    return max(labelled, key=lambda one: len(one.rows), default=None)


def sample_table(tables: Sequence[Table], labels: Table | None) -> Table | None:
    """Return the largest table that is called a sample or a submission."""
    named = [one for one in tables if _SAMPLE.search(one.path.stem) and one is not labels]
    return max(named, key=lambda one: len(one.rows), default=None)


def rle_column(table: Table) -> str | None:
    """Return the column that holds run-length encodings."""
    for name in table.rows.columns[1:]:
        cells = table.rows[name].head(LOOKED_AT)
        filled = [cell for cell in cells if not is_empty(cell)]
        if filled and all(_RUNS.fullmatch(cell) for cell in filled):
            return str(name)
    return None


def flag_columns(table: Table) -> list[str]:
    """Return the columns that hold 0 and 1 alone; none if each holds the same value throughout."""
    flags = {"0", "1", "0.0", "1.0"}
    values = {
        str(name): set(table.rows[name].head(LOOKED_AT).str.strip())
        for name in table.rows.columns[1:]
    }
    found = [name for name, cells in values.items() if cells and cells <= flags]
    return found if any(len(set(map(float, values[name]))) > 1 for name in found) else []


def names_column(table: Table) -> str | None:
    """Return the column of a few names that come again and again: classes."""
    for name in table.rows.columns[1:]:
        cells = table.rows[name].str.strip()
        kinds = cells.nunique()
        if 2 <= kinds <= min(50, len(cells) // 3) and not cells.str.fullmatch(r"[\d. ]*").any():
            return str(name)
    return None


def best_dialect(table: Table, column: str, train: Sequence[Path]) -> tuple[str, str]:
    """Return the dialect that most cells fit, and how that was seen."""
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
    return best, f"run-length dialect {best}: fits {fits[best]} of {len(cells)} masks looked at"


@dataclass(frozen=True)
class Ids:
    """How the ids of a table name images.

    Attributes:
        pattern: of the image's id in its path; None for its name without the ending.
        joined: whether a class stands behind the last "_".
        share: rows whose image is there, 0 to 1.
    """

    pattern: str | None
    joined: bool
    share: float


def match_ids(ids: pd.Series, images: Sequence[Path], data: Path) -> Ids:
    """Return the way to read ids under which most rows have an image; the plainest of equals.

    Args:
        ids: cells of the id column.
        images: training images.
        data: folder from which paths are seen.
    """
    found = []
    for pattern in (None, NAME_WITH_ENDING):
        known = {image_id_of(data, path, pattern) for path in images}
        found.append(Ids(pattern, False, float(ids.isin(known).mean())))
        front = ids.str.rsplit("_", n=1).str[0]
        found.append(Ids(pattern, True, float((front.isin(known) & ~ids.isin(known)).mean())))
    return max(found, key=lambda one: one.share)


def mask_classes(table: Table, ids: Ids, rle: str) -> tuple[str | None, list[str]]:
    """Return the column of the classes of masks, if they have one, and their names in order.

    Args:
        table: whose rows are masks.
        ids: of `match_ids`.
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
