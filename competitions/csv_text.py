"""CSV tables as text: cells unchanged, and the line number of every row."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from goldfold.errors import InputError, did_you_mean, list_problems, plural

# Python's csv module refuses cells above 131,072 characters; a large mask has more.
_CELL_LIMIT = 2**31 - 1


def read_csv_text(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Return the named columns as text; the index is the line number of each row.

    Spaces around names in the header, a byte-order mark and empty lines are ignored; the header is
    line 1. Cells missing at the end of a row are empty ("").

    Raises:
        InputError: the file is unreadable, a column is missing or occurs twice, or rows have more
            cells than the header (the message lists all of them).
    """
    header, lines, rows = _read(path)
    places = [_place(path, header, column) for column in columns]
    width = len(header)
    too_long = [
        f"row {line}: {len(cells)} cells, the header has {width}"
        for line, cells in zip(lines, rows, strict=True)
        if any(cells[width:])
    ]
    if too_long:
        title = f"{path} has {plural(len(too_long), 'row', 'rows')} with too many cells:"
        raise InputError(list_problems(title, too_long, "Put quotes around cells with commas."))
    picked = {
        column: [cells[place] if place < len(cells) else "" for cells in rows]
        for column, place in zip(columns, places, strict=True)
    }
    return pd.DataFrame(
        picked, index=pd.Index(lines, dtype="int64"), columns=list(picked), dtype=str
    )


def read_other_columns(path: Path, known: Collection[str]) -> pd.DataFrame:
    """Return all columns except the known ones, as text, as `read_csv_text` does.

    Columns without a name or with a duplicate name are left out, and so are surplus cells of a row.

    Raises:
        InputError: the file is unreadable.
    """
    header, lines, rows = _read(path)
    picked = {
        column: [cells[place] if place < len(cells) else "" for cells in rows]
        for place, column in enumerate(header)
        if column and column not in known and header.count(column) == 1
    }
    return pd.DataFrame(picked, index=pd.Index(lines, dtype="int64"), dtype=str)


def _read(path: Path) -> tuple[list[str], list[int], list[list[str]]]:
    """Return the stripped header, and the line numbers and cells of the rows that are not empty."""
    before = csv.field_size_limit(_CELL_LIMIT)
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [column.strip() for column in next(reader, [])]
            end = reader.line_num
            for cells in reader:
                if cells:
                    lines.append(end + 1)  # a quoted cell may span several lines
                    rows.append(cells)
                end = reader.line_num
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot read {path} as a CSV table: {reason}.") from error
    finally:
        csv.field_size_limit(before)
    return header, lines, rows


def _place(path: Path, header: Sequence[str], column: str) -> int:
    if column not in header:
        shown = ", ".join(header) or "an empty header"
        hint = did_you_mean(column, header)
        raise InputError(f"{path} has no column {column}; it has {shown}.{hint}")
    if header.count(column) > 1:
        raise InputError(f"{path} has {header.count(column)} columns {column}; rename one of them.")
    return header.index(column)
