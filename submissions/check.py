"""Checks a submission file: finds every fault, with its row, before the competition does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldfold.competitions.csv_layout import SEPARATORS
from goldfold.errors import plural
from goldfold.submissions.layout import Layout
from goldfold.submissions.table import (
    Row,
    Sample,
    Table,
    pixels_of,
    read_sample,
    read_table,
    show_header,
)

_SHOWN = 5  # faults per kind in the printed report


@dataclass(frozen=True)
class Problem:
    """One fault."""

    row: int | None
    """Line number in the file (the header is line 1); None if no row is at fault."""
    image_id: str
    """Key of the row at fault: the image, and the class if rows have one; otherwise empty."""
    kind: str
    """Short identifier: separator, encoding, header, width, blank-row, missing-id, extra-id,
    doubled-id, id-spaces, empty-cell, nan, empty-token, not-a-number, out-of-range, unknown-label,
    empty-beside, overlap, or a `Fault` of the run-length encoding."""
    message: str
    """What was expected, and what was found."""

    def __str__(self) -> str:
        row = f"row {self.row}" if self.row is not None else ""
        place = ", ".join(part for part in (row, self.image_id) if part)
        return f"{place}: {self.message}" if place else self.message


@dataclass(frozen=True)
class CheckReport:
    """What `check_submission` found."""

    file: Path
    rows: int
    """Number of rows below the header."""
    non_empty: int
    """Number of rows with a valid mask that is not empty (without masks: of valid rows)."""
    what: str = "mask"
    """What a row contains."""
    problems: list[Problem] = field(default_factory=list)
    """Faults: those of the header first, then of the rows, then missing ids."""
    warnings: list[str] = field(default_factory=list)
    """What the competition accepts, but you may not have intended."""

    @property
    def ok(self) -> bool:
        """Return whether the file has no fault."""
        return not self.problems

    def __str__(self) -> str:
        """Return one line for a correct file, otherwise the first faults of each kind."""
        rows = plural(self.rows, "row", "rows")
        if self.ok:
            return f"{self.file}: correct, {rows}, {self.non_empty:,} with a {self.what}."
        kinds: dict[str, list[Problem]] = {}
        for problem in self.problems:
            kinds.setdefault(problem.kind, []).append(problem)
        counts = ", ".join(f"{len(of_kind):,} {kind}" for kind, of_kind in kinds.items())
        total = plural(len(self.problems), "problem", "problems")
        lines = [f"{self.file}: {total} ({counts}) in {rows}:"]
        for kind, of_kind in kinds.items():
            lines += [f"  {problem}" for problem in of_kind[:_SHOWN]]
            if len(of_kind) > _SHOWN:
                lines.append(f"  ... and {len(of_kind) - _SHOWN:,} more {kind}")
        lines.append("Row numbers are line numbers in the file; the header is row 1.")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the report with every fault as JSON values."""
        return {
            "file": str(self.file),
            "ok": self.ok,
            "rows": self.rows,
            "non_empty": self.non_empty,
            "problems": [vars(problem) for problem in self.problems],
            "warnings": self.warnings,
        }


def check_submission(
    file: Path,
    sample: Path,
    *,
    layout: Layout,
    shape: tuple[int, int] | None,
    shapes: Mapping[str, tuple[int, int]] | None = None,
) -> CheckReport:
    """Return all faults of a submission, which needs the header and the rows of the sample.

    Args:
        file: the submission.
        sample: the competition's sample submission; the content of its value cells is ignored.
        layout: its columns and what they must contain.
        shape: height and width of the images, None if they differ or are not known.
        shapes: image id -> height and width, where they differ.

    Raises:
        InputError: a file cannot be read, or the sample lacks a column.
    """
    wanted = read_sample(sample, layout)
    table = read_table(file)
    warnings = _sample_warnings(wanted, sample, layout)
    problems = _layout_problems(table, wanted) + _header_problems(table, wanted)
    if table.separator == "," != wanted.separator:
        warnings.append(
            f"the sample's columns are separated by {SEPARATORS[wanted.separator]}, those of the "
            "file by commas, which Kaggle expects"
        )
    keys = [table.column(name) for name in layout.key_columns]
    values = [table.column(name) for name in layout.value_columns]
    known_keys = [place for place in keys if place is not None]
    known_values = [place for place in values if place is not None]
    if len(known_keys) < len(keys) or len(known_values) < len(values):
        return CheckReport(file, len(table.rows), 0, layout.what, problems, warnings)
    rows = _RowCheck(set(wanted.image_ids), layout, known_keys, known_values, shape, shapes)
    rows.check(table)
    problems += rows.problems
    problems += [
        Problem(None, key, "missing-id", "the sample has this row, the file does not")
        if layout.class_separator or len(layout.key_columns) > 1
        else Problem(None, key, "missing-id", "the sample has this image, the file does not")
        for key in wanted.image_ids
        if key not in rows.first_rows
    ]
    warnings += rows.warnings(wanted, problems)
    return CheckReport(file, len(table.rows), rows.non_empty, layout.what, problems, warnings)


def _layout_problems(table: Table, wanted: Sample) -> list[Problem]:
    """Return what a competition cannot read: an unusual separator or encoding."""
    problems = []
    if table.separator not in (",", wanted.separator):
        seen = SEPARATORS[table.separator]
        message = f"columns are separated by {seen}; write the file with commas"
        problems.append(Problem(None, "", "separator", message))
    if table.encoding != "UTF-8":
        message = f"the file is {table.encoding}; save it as UTF-8"
        problems.append(Problem(None, "", "encoding", message))
    return problems


@dataclass
class _RowCheck:
    """Goes through the rows of a file and collects their faults."""

    wanted: set[str]
    layout: Layout
    key_places: list[int]
    value_places: list[int]
    shape: tuple[int, int] | None
    shapes: Mapping[str, tuple[int, int]] | None
    problems: list[Problem] = field(default_factory=list)
    first_rows: dict[str, int] = field(default_factory=dict)
    objects: dict[str, list[str]] = field(default_factory=dict)
    non_empty: int = 0
    spaced: int = 0
    unbounded: int = 0

    def check(self, table: Table) -> None:
        width = len(table.columns)
        for row in table.rows:
            if not row.cells:
                self._add(row.number, "", "blank-row", "the row is blank")
            elif len(row.cells) != width:
                message = f"found {plural(len(row.cells), 'cell', 'cells')}, expected {width}"
                self._add(row.number, row.cells[0].strip(), "width", message)
            else:
                key = self._check_key(row)
                for place in self.value_places:
                    self._check_value(row.number, key, row.cells[place])
        for key, cells in self.objects.items():
            if (fault := self.layout.objects_fault(cells)) is not None:
                self._add(self.first_rows[key], key, *fault)

    def _check_key(self, row: Row) -> str:
        key = row.key(self.key_places)
        for place in self.key_places:
            cell = row.cells[place]
            if cell.strip() != cell:
                self._add(row.number, key, "id-spaces", f"the id {cell!r} has spaces around it")
        first = self.first_rows.setdefault(key, row.number)
        if first != row.number and not self.layout.objects:
            self._add(row.number, key, "doubled-id", f"row {first} already has this id")
        elif first == row.number and key not in self.wanted:
            self._add(row.number, key, "extra-id", "the sample does not have this image")
        return key

    def _check_value(self, row: int, key: str, cell: str) -> None:
        pixels = pixels_of(self.layout.image_of(key), self.shape, self.shapes)
        fault = self.layout.fault(cell, pixels)
        if fault is not None:
            self._add(row, key, *fault)
            return
        if self.layout.objects:
            self.objects.setdefault(key, []).append(cell)
        self.spaced += cell.strip() != cell
        if not self.layout.is_nothing(cell):
            self.non_empty += 1
            self.unbounded += pixels is None and self.layout.content == "mask"

    def _add(self, row: int, image_id: str, kind: str, message: str) -> None:
        self.problems.append(Problem(row, image_id, kind, message))

    def warnings(self, wanted: Sample, problems: list[Problem]) -> list[str]:
        warnings = []
        if self.spaced:
            cells = plural(self.spaced, f"{self.layout.what} has", f"{self.layout.whats} have")
            warnings.append(f"{cells} surrounding spaces; competitions ignore these.")
        if self.unbounded:
            masks = plural(self.unbounded, "mask belongs", "masks belong")
            warnings.append(
                f"{masks} to images of unknown size; whether the runs end inside the image was "
                "not checked."
            )
        if not problems and list(self.first_rows) != wanted.image_ids:
            warnings.append("the rows are not in the sample's order; competitions join them by id.")
        return warnings


def _sample_warnings(wanted: Sample, sample: Path, layout: Layout) -> list[str]:
    if not wanted.repeats or layout.objects:
        return []
    rows = plural(wanted.repeats, "row repeats", "rows repeat")
    images = plural(len(wanted.image_ids), "image", "images")
    return [f"{sample}: {rows} an id; one row per image is expected ({images})."]


def _header_problems(table: Table, wanted: Sample) -> list[Problem]:
    """Return how the header differs from the sample's, as at most one problem."""
    if table.columns == wanted.columns:
        return []
    expected, actual = show_header(wanted.columns), show_header(table.columns)
    message = f"expected the header {expected}, found {actual}"
    stripped = [column.strip() for column in table.columns]
    names = [column.strip() for column in wanted.columns]
    if not table.columns:
        message = f"the first line is empty; expected the header {expected}"
    elif stripped == names:
        message += "; they differ only in spaces around the names"
    elif sorted(stripped) == sorted(names):
        message += "; the columns are in another order"
    elif stripped[0] in ("", "Unnamed: 0") and stripped[1:] == names:
        message += "; the first column is an index (in pandas: to_csv(..., index=False))"
    return [Problem(1, "", "header", message)]
