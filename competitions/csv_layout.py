"""The cells of a CSV file: its separator is told from the content and checked on all rows."""

from __future__ import annotations

import csv
import io
import re
import string
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from goldfold.competitions.csv_encoding import decode_table
from goldfold.errors import InputError, first_few, plural

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars (|)"}
"""Separator -> its name in the plural; where several fit, the first is taken."""
# Python's csv module refuses cells above 131,072 characters; a large mask has more.
_CELL_LIMIT = 2**31 - 1
_AROUND_NAMES = string.whitespace + "\u00a0\u200b\ufeff"
"""Spaces and invisible signs that are no part of a column's name."""
_HINT = re.compile(r"\s*\"?sep=(.)\"?\s*\r?\n", re.IGNORECASE)
"""First line by which Excel is told the separator."""
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")


@dataclass(frozen=True)
class CsvTable:
    """The cells of a CSV file.

    Attributes:
        path: path of the file.
        header: names of the columns, without spaces around them.
        lines: line number of each row; the header of most files is line 1.
        rows: cells of each row that is not empty, as they are.
        separator: between the cells.
        encoding: name of the encoding.
    """

    path: Path
    header: list[str]
    lines: list[int]
    rows: list[list[str]]
    separator: str
    encoding: str

    @property
    def words(self) -> str:
        """What the file looks like, for messages."""
        return f"{self.encoding}, columns separated by {SEPARATORS[self.separator]}"

    @property
    def too_long(self) -> list[tuple[int, int]]:
        """Line number and number of cells of the rows with more cells than the header."""
        width = len(self.header)
        return [
            (line, len(cells))
            for line, cells in zip(self.lines, self.rows, strict=True)
            if any(cells[width:])
        ]

    @cached_property
    def notes(self) -> list[str]:
        """What a reader should know: separator, encoding, short rows, cells of several lines."""
        width, name = len(self.header), self.path.name
        notes = []
        if self.separator != ",":
            notes.append(f"{name}: columns are separated by {SEPARATORS[self.separator]}")
        if self.encoding == "Windows-1252":
            example = self._beyond_ascii()
            notes.append(f"{name} is not UTF-8; it was read as Windows-1252: {example}")
        elif self.encoding != "UTF-8":
            notes.append(f"{name} is {self.encoding}")
        if double := sorted({name for name in self.header if name and self.header.count(name) > 1}):
            notes.append(
                f"{name} has several columns called {first_few(double)}, none of which is read"
            )
        numbered = list(zip(self.lines, self.rows, strict=True))
        short = [str(line) for line, cells in numbered if len(cells) < width]
        if short:
            notes.append(
                f"{plural(len(short), 'row', 'rows')} of {name} with fewer than {width} cells, "
                f"the missing ones taken as empty: row {first_few(short)}"
            )
        broken = [str(line) for line, cells in numbered if any("\n" in cell for cell in cells)]
        if broken:
            notes.append(
                f"{plural(len(broken), 'row', 'rows')} of {name} with line breaks in quoted "
                f"cells: row {first_few(broken)}"
            )
        return notes

    def _beyond_ascii(self) -> str:
        """Return the first cell with a letter beyond ASCII, and where it is."""
        for line, cells in zip([1, *self.lines], [self.header, *self.rows], strict=True):
            for cell in cells:
                if not cell.isascii():
                    return f"{cell[:40]!r} in row {line}"
        return "in cells that are not read"


def read_csv(path: Path) -> CsvTable:
    """Return the cells of a file, whatever its encoding and separator.

    Empty lines are passed over, also above the header, and so is a first line `sep=;`.

    Raises:
        InputError: the file is missing, is no text, or a quotation mark is never closed.
    """
    text, encoding = decode_table(path)
    separator, spaces, skipped = tell_layout(path, text)
    header, lines, rows = _cells(path, text, separator, spaces, skipped)
    _refuse_other_separator(path, header, rows, separator)
    if '"' in text:
        _refuse_open_quote(path, text, separator, lines[-1] if lines else 1)
    return CsvTable(path, header, lines, rows, separator, encoding)


def tell_layout(path: Path, text: str) -> tuple[str, bool, int]:
    """Return the separator, whether spaces behind it are dropped, and how many lines are no rows.

    The separators that occur in the header are tried on all rows; the one that most rows agree with
    is taken, of several the first in `SEPARATORS`.

    Args:
        path: path of the file, for messages.
        text: its content.

    Raises:
        InputError: the text is no CSV.
    """
    skipped = 1 if _HINT.match(text) else 0
    candidates = _candidates(text, skipped)
    if len(candidates) == 1:
        return (*candidates[0], skipped)
    best, most = candidates[0], -1.0
    for separator, spaces in candidates:
        header, _, rows = _cells(path, text, separator, spaces, skipped)
        share = _fitting(header, rows)
        if share > most:
            best, most = (separator, spaces), share
        if share == 1:
            break
    return (*best, skipped)


def explain_long_rows(table: CsvTable) -> str:
    """Return what the rows with too many cells probably need."""
    width = len(table.header)
    by_line = dict(zip(table.lines, table.rows, strict=True))
    long = [by_line[line] for line, _ in table.too_long]
    if width == 1:
        return (
            f"The first line, {table.header[0][:40]!r}, is a single cell. If it is no header, "
            "delete it, and whatever else stands above the header."
        )
    if len(long) == len(table.rows) and all(len(cells) == width + 1 for cells in long):
        return (
            "All rows have one cell more than the header. Either it lacks the name of the first "
            "column (as R writes it): put one in front. Or numbers have a comma: write 0.5, not "
            "0,5."
        )
    seen = SEPARATORS[table.separator]
    if table.separator == ",":
        return (
            f"Columns are separated by {seen}: put quotes around cells with commas, and write "
            "numbers with a point (0.5, not 0,5)."
        )
    return f"Columns are separated by {seen}: put quotes around cells that contain one."


def has_decimal_comma(cell: str) -> bool:
    """Return whether a cell is a number with a comma in place of the point.

    >>> has_decimal_comma("0,5"), has_decimal_comma("0.5"), has_decimal_comma("1, 2")
    (True, False, False)
    """
    return _DECIMAL_COMMA.fullmatch(cell.strip()) is not None


def _candidates(text: str, skipped: int) -> list[tuple[str, bool]]:
    """Return the separators that occur in the header, and whether spaces behind them are dropped.

    The plain reading comes first; spaces matter only before quotation marks.
    """
    lines = islice(io.StringIO(text, newline=""), skipped, None)
    header = next((line for line in lines if line.strip()), "")
    there = [separator for separator in SEPARATORS if separator in header] or [","]
    plain = [(separator, False) for separator in there]
    quoted = [(separator, True) for separator in there if f'{separator} "' in text]
    return plain + quoted


def _cells(
    path: Path, text: str, separator: str, spaces: bool, skipped: int
) -> tuple[list[str], list[int], list[list[str]]]:
    """Return the header, and the line numbers and cells of the rows that are not empty."""
    before = csv.field_size_limit(_CELL_LIMIT)
    header: list[str] = []
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        kept = islice(io.StringIO(text, newline=""), skipped, None)
        reader = csv.reader(kept, delimiter=separator, skipinitialspace=spaces)
        end = skipped
        for cells in reader:
            if cells and not header:
                header = [column.strip(_AROUND_NAMES) for column in cells]
            elif cells:
                lines.append(end + 1)  # a quoted cell may span several lines
                rows.append(cells)
            end = reader.line_num + skipped
    except csv.Error as error:
        raise InputError(f"cannot read {path} as a CSV table: {error}.") from error
    finally:
        csv.field_size_limit(before)
    return header, lines, rows


def _refuse_other_separator(
    path: Path, header: list[str], rows: list[list[str]], separator: str
) -> None:
    """Raise InputError if rows are separated by something else than the header."""
    if len(header) < 2 or not rows or any(len(cells) > 1 for cells in rows):
        return
    for other, name in SEPARATORS.items():
        if other != separator and all(other in cells[0] for cells in rows):
            raise InputError(
                f"cannot read {path} as a CSV table: the header is separated by "
                f"{SEPARATORS[separator]}, the rows by {name}. Correct the header."
            )


def _refuse_open_quote(path: Path, text: str, separator: str, last: int) -> None:
    """Raise InputError if a quotation mark is never closed: the rest of the file is one cell.

    Args:
        path: path of the file.
        text: its content.
        separator: between cells.
        last: line number of the last row.
    """
    tail = islice(io.StringIO(text, newline=""), last - 1, None)
    try:
        list(csv.reader(tail, delimiter=separator, strict=True))
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise InputError(
                f"cannot read {path} as a CSV table: a quotation mark in row {last} is never "
                "closed, so the rest of the file would be one cell. Close it, or double it if it "
                "belongs to the text."
            ) from None


def _fitting(header: list[str], rows: list[list[str]]) -> float:
    """Return the share of the rows with as many cells as the header; 0 with a single column."""
    width = len(header)
    if not rows:
        return 1.0
    if width < 2:
        return 0.0
    fitting = sum(
        len(cells) == width or (len(cells) > width and not any(cells[width:])) for cells in rows
    )
    return fitting / len(rows)
