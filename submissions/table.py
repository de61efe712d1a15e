"""Reads CSV files of submissions as they are, with the line number of every row."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from goldfold.competitions.csv_encoding import decode_table
from goldfold.competitions.csv_layout import tell_layout
from goldfold.errors import InputError, plural
from goldfold.submissions.layout import KEY_JOINT, Layout

_CELL_LIMIT = 2**31 - 1
"""Python's csv module refuses cells above 131,072 characters; a large mask has more."""


@dataclass(frozen=True)
class Row:
    """One row of a file."""

    number: int
    """Line number in the file; the header is line 1."""
    cells: list[str]
    """The cells as written in the file, spaces included."""

    def key(self, places: Sequence[int]) -> str:
        """Return the cells that identify the row as one text, without spaces around them."""
        return KEY_JOINT.join(self.cells[place].strip() for place in places)


@dataclass(frozen=True)
class Table:
    """The header and rows of a file."""

    path: Path
    columns: list[str]
    """The header as written in the file; empty if the file is empty."""
    rows: list[Row]
    separator: str = ","
    """Between the cells."""
    encoding: str = "UTF-8"
    """Name of the encoding."""

    def column(self, name: str) -> int | None:
        """Return the position of a column, ignoring spaces around names; None if it is missing."""
        names = [column.strip() for column in self.columns]
        return names.index(name) if names.count(name) == 1 else None

    def require(self, name: str) -> int:
        """Return the position of a column.

        Raises:
            InputError: the column is missing, or there are two of that name.
        """
        place = self.column(name)
        if place is None:
            raise InputError(
                f"{self.path}: expected one column {name!r}, found the header "
                f"{show_header(self.columns)}. Name the right column or choose another file."
            )
        return place

    def check_widths(self) -> None:
        """Raise an InputError that names the first row with more or fewer cells than the header."""
        bad = [row for row in self.rows if len(row.cells) != len(self.columns)]
        if bad:
            raise InputError(
                f"{self.path}: row {bad[0].number} has "
                f"{plural(len(bad[0].cells), 'cell', 'cells')}, the header has "
                f"{len(self.columns)} ({plural(len(bad), 'such row', 'such rows')} in all). "
                "Correct the file."
            )


@dataclass(frozen=True)
class Sample:
    """The header and the rows that a sample submission asks for."""

    columns: list[str]
    """The header."""
    image_ids: list[str]
    """The unique keys of the rows (image, and class if rows have one), in the file's order."""
    repeats: int
    """Number of rows that repeat a key."""
    separator: str = ","
    """Between the cells."""


def read_table(path: Path) -> Table:
    """Return the rows of a CSV file, without empty lines at its end.

    Encoding and separator are told from the content; a byte-order mark is ignored.

    Raises:
        InputError: the file is missing, cannot be read, or is no text.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist.")
    text, encoding = decode_table(path)
    separator, spaces, skipped = tell_layout(path, text)
    before = csv.field_size_limit(_CELL_LIMIT)
    try:
        kept = islice(io.StringIO(text, newline=""), skipped, None)
        reader = csv.reader(kept, delimiter=separator, skipinitialspace=spaces)
        columns = next(reader, [])
        rows, line = [], reader.line_num + skipped
        for cells in reader:
            rows.append(Row(line + 1, cells))
            line = reader.line_num + skipped  # a quoted cell may span several lines
    except csv.Error as error:
        raise InputError(f"cannot read {path}: {error}.") from error
    finally:
        csv.field_size_limit(before)
    while rows and not rows[-1].cells:
        rows.pop()
    return Table(path, columns, rows, separator, encoding)


def read_sample(path: Path, layout: Layout) -> Sample:
    """Return the header and the keys of a sample submission.

    Raises:
        InputError: the file cannot be read, lacks a column or has no rows.
    """
    table = read_table(path)
    places = [table.require(name) for name in layout.key_columns]
    for name in layout.value_columns:
        table.require(name)
    table.check_widths()
    if not table.rows:
        raise InputError(f"{path}: expected one row per image, found none below the header.")
    keys = list(dict.fromkeys(row.key(places) for row in table.rows))
    return Sample(table.columns, keys, len(table.rows) - len(keys), table.separator)


def show_header(columns: list[str]) -> str:
    """Return a header as written in the file, in quotes, shortened if it is long."""
    text = ",".join(columns)
    return repr(text if len(text) <= 120 else text[:117] + "...")


def pixels_of(
    image_id: str, shape: tuple[int, int] | None, shapes: Mapping[str, tuple[int, int]] | None
) -> int | None:
    """Return the number of pixels of an image, None if its size is not known.

    Args:
        image_id: the image.
        shape: height and width of all images without an entry in `shapes`.
        shapes: image id -> height and width.
    """
    size = shapes.get(image_id, shape) if shapes is not None else shape
    return None if size is None else size[0] * size[1]
