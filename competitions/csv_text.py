"""CSV tables as text: cells unchanged, and the line number of every row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_layout import CsvTable, explain_long_rows, read_csv
from goldfold.errors import InputError, did_you_mean, list_problems, plural

_NOTES: dict[tuple[Path, int, int], list[str]] = {}
"""Notes of the files that were read, by path, size and modification time."""


def read_csv_text(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Return the named columns as text; the index is the line number of each row.

    Encoding and separator are told from the content. Spaces around names in the header, a
    byte-order mark and empty lines are ignored; the header is line 1. Cells missing at the end of
    a row are empty ("").

    Raises:
        InputError: the file is unreadable, a column is missing or occurs twice, or rows have more
            cells than the header (the message lists all of them).
    """
    table = _read(path)
    places = [_place(table, column) for column in columns]
    return _frame(table, dict(zip(columns, places, strict=True)))


def read_whole_table(path: Path) -> pd.DataFrame:
    """Return all columns whose name occurs once, as `read_csv_text` does.

    Raises:
        InputError: the file is unreadable, or rows have more cells than the header.
    """
    table = _read(path)
    return _frame(table, _single_columns(table, ()))


def read_other_columns(path: Path, known: Collection[str]) -> pd.DataFrame:
    """Return all columns except the known ones, as text, as `read_csv_text` does.

    Columns without a name or with a duplicate name are left out.

    Raises:
        InputError: as `read_whole_table`.
    """
    table = _read(path)
    return _frame(table, _single_columns(table, known))


def csv_notes(path: Path) -> list[str]:
    """Return what a reader of the table should know: separator, encoding, irregular rows.

    Raises:
        InputError: the file is unreadable.
    """
    known = _NOTES.get(_state(path))
    return _read(path).notes if known is None else known


def _state(path: Path) -> tuple[Path, int, int]:
    try:
        state = path.stat()
    except OSError:
        return path, -1, -1
    return path, state.st_size, state.st_mtime_ns


def _read(path: Path) -> CsvTable:
    state = _state(path)
    table = read_csv(path)
    _NOTES[state] = table.notes
    return table


def _single_columns(table: CsvTable, known: Collection[str]) -> dict[str, int]:
    """Return name -> place of the columns with a name that occurs once and is not known."""
    return {
        column: place
        for place, column in enumerate(table.header)
        if column and column not in known and table.header.count(column) == 1
    }


def _frame(table: CsvTable, places: dict[str, int]) -> pd.DataFrame:
    if too_long := table.too_long:
        width = len(table.header)
        title = f"{table.path} has {plural(len(too_long), 'row', 'rows')} with too many cells:"
        problems = [
            f"row {line}: {count} cells, the header has {width}" for line, count in too_long
        ]
        raise InputError(list_problems(title, problems, explain_long_rows(table)))
    picked = {
        column: [cells[place] if place < len(cells) else "" for cells in table.rows]
        for column, place in places.items()
    }
    index = pd.Index(table.lines, dtype="int64")
    return pd.DataFrame(picked, index=index, columns=list(picked), dtype=str)


def _place(table: CsvTable, column: str) -> int:
    header = table.header
    if column not in header:
        shown = ", ".join(name or '""' for name in header) or "an empty header"
        hint = did_you_mean(column, header)
        told = table.separator != "," or (len(header) == 1 and not header[0].isidentifier())
        layout = f" (read as {table.words})" if told else ""
        raise InputError(f"{table.path} has no column {column}; it has {shown}{layout}.{hint}")
    if header.count(column) > 1:
        raise InputError(
            f"{table.path} has {header.count(column)} columns {column}; rename one of them."
        )
    return header.index(column)
