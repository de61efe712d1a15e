"""Every fault of a submission file, with its row, before the competition finds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldfold.competitions.rle import Dialect, MalformedRunsError, parse
from goldfold.errors import plural
from goldfold.submissions.table import (
    Sample,
    Table,
    pixels_of,
    read_sample,
    read_table,
    show_header,
)

_SHOWN = 5  # faults of a kind that are shown to people
_NOT_A_VALUE = frozenset({"nan", "none", "null", "na", "n/a", "<na>", "inf", "-inf"})


@dataclass(frozen=True)
class Problem:
    """One fault."""

    row: int | None
    """Line of the file as an editor shows it (the header is 1); None if no row is at fault."""
    image_id: str
    """The image; empty if none is at fault."""
    kind: str
    """One word for machines: header, width, blank-row, missing-id, extra-id, doubled-id, id-spaces,
    empty-cell, nan, empty-token, or a `Fault` of the run-length encoding."""
    message: str
    """What was expected and what was found."""

    def __str__(self) -> str:
        row = f"row {self.row}" if self.row is not None else ""
        place = ", ".join(part for part in (row, self.image_id) if part)
        return f"{place}: {self.message}" if place else self.message


@dataclass(frozen=True)
class CheckReport:
    """What `check_submission` found."""

    file: Path
    rows: int
    """Rows below the header."""
    non_empty: int
    """Rows with a mask that is not empty and not at fault."""
    problems: list[Problem] = field(default_factory=list)
    """Faults, in the order header, rows, missing ids."""
    warnings: list[str] = field(default_factory=list)
    """What a competition accepts but you may not have meant."""

    @property
    def ok(self) -> bool:
        """Return whether the file has no fault."""
        return not self.problems

    def __str__(self) -> str:
        """Return one line for a correct file, else every kind of fault with the first of it."""
        rows = plural(self.rows, "row", "rows")
        if self.ok:
            return f"{self.file}: correct, {rows}, {self.non_empty:,} with a mask."
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
        lines.append("Rows are counted as an editor shows them; the header is row 1.")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, every fault included."""
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
    id_column: str,
    rle_column: str,
    dialect: Dialect,
    shape: tuple[int, int] | None,
    shapes: Mapping[str, tuple[int, int]] | None = None,
) -> CheckReport:
    """Return all faults of a submission; correct is what has the sample's header and ids.

    Args:
        file: the submission.
        sample: the competition's sample submission; its masks do not matter.
        id_column: column with the image ids.
        rle_column: column with the encoded masks.
        dialect: how masks must be written.
        shape: height and width of the images, None if they differ or are not known.
        shapes: image id -> height and width, where they differ.

    Raises:
        InputError: a file cannot be read, or the sample lacks a column.
    """
    wanted = read_sample(sample, id_column, rle_column)
    table = read_table(file)
    warnings = _sample_warnings(wanted, sample)
    problems = _header_problems(table, wanted)
    places = table.column(id_column), table.column(rle_column)
    if places[0] is None or places[1] is None:
        return CheckReport(file, len(table.rows), 0, problems, warnings)
    rows = _RowCheck(set(wanted.image_ids), places[0], places[1], dialect, shape, shapes)
    rows.check(table)
    problems += rows.problems
    problems += [
        Problem(None, image_id, "missing-id", "the sample has this image, the file has not")
        for image_id in wanted.image_ids
        if image_id not in rows.first_rows
    ]
    warnings += rows.warnings(wanted, problems)
    return CheckReport(file, len(table.rows), rows.non_empty, problems, warnings)


def find_cell_fault(text: str, dialect: Dialect, pixels: int | None) -> tuple[str, str] | None:
    """Return kind and message of what is wrong with a written mask, None if nothing is.

    Stricter than reading: an empty mask has to be written as the dialect does. Surrounding
    spaces are let pass.
    """
    token = text.strip()
    if token == dialect.empty:
        return None
    blank = f'"{dialect.empty}"' if dialect.empty else "an empty cell"
    if not token:
        return "empty-cell", f"the cell is empty; an empty mask is written as {blank}"
    if token.lower() in _NOT_A_VALUE:
        return "nan", f"found {token!r}; an empty mask is written as {blank}"
    if token in ("-1", "-"):
        return "empty-token", f"found {token!r}; an empty mask is written as {blank}"
    try:
        parse(token, dialect, pixels=pixels)
    except MalformedRunsError as error:
        return error.fault, str(error)
    return None


@dataclass
class _RowCheck:
    """Goes through the rows of a file and gathers what it finds."""

    wanted: set[str]
    id_place: int
    rle_place: int
    dialect: Dialect
    shape: tuple[int, int] | None
    shapes: Mapping[str, tuple[int, int]] | None
    problems: list[Problem] = field(default_factory=list)
    first_rows: dict[str, int] = field(default_factory=dict)
    non_empty: int = 0
    spaced: int = 0
    unbounded: int = 0

    def check(self, table: Table) -> None:
        width = len(table.columns)
        for row in table.rows:
            if not row.cells:
                self._add(row.number, "", "blank-row", "the row is blank")
            elif len(row.cells) != width:
                found = f"found {plural(len(row.cells), 'cell', 'cells')}, expected {width}"
                self._add(row.number, row.cells[0].strip(), "width", found)
            else:
                image_id = self._check_id(row.number, row.cells[self.id_place])
                self._check_mask(row.number, image_id, row.cells[self.rle_place])

    def _check_id(self, row: int, cell: str) -> str:
        image_id = cell.strip()
        if image_id != cell:
            self._add(row, image_id, "id-spaces", f"the id {cell!r} has spaces around it")
        first = self.first_rows.setdefault(image_id, row)
        if first != row:
            self._add(row, image_id, "doubled-id", f"the id stands in row {first} already")
        elif image_id not in self.wanted:
            self._add(row, image_id, "extra-id", "the sample does not have this image")
        return image_id

    def _check_mask(self, row: int, image_id: str, cell: str) -> None:
        token = cell.strip()
        pixels = pixels_of(image_id, self.shape, self.shapes)
        fault = find_cell_fault(token, self.dialect, pixels)
        if fault is not None:
            self._add(row, image_id, *fault)
            return
        self.spaced += token != cell
        if token != self.dialect.empty:
            self.non_empty += 1
            self.unbounded += pixels is None

    def _add(self, row: int, image_id: str, kind: str, message: str) -> None:
        self.problems.append(Problem(row, image_id, kind, message))

    def warnings(self, wanted: Sample, problems: list[Problem]) -> list[str]:
        found = []
        if self.spaced:
            masks = plural(self.spaced, "mask has", "masks have")
            found.append(f"{masks} surrounding spaces; competitions ignore these.")
        if self.unbounded:
            masks = plural(self.unbounded, "mask belongs", "masks belong")
            found.append(
                f"{masks} to images of unknown size; whether the runs end inside the image was "
                "not checked."
            )
        if not problems and list(self.first_rows) != wanted.image_ids:
            found.append("the rows are not in the sample's order; competitions join them by id.")
        return found


def _sample_warnings(wanted: Sample, sample: Path) -> list[str]:
    if not wanted.repeats:
        return []
    return [
        f"{sample}: {plural(wanted.repeats, 'row repeats', 'rows repeat')} an id; one row for each "
        f"of its {plural(len(wanted.image_ids), 'image', 'images')} is expected."
    ]


def _header_problems(table: Table, wanted: Sample) -> list[Problem]:
    """Return at most one problem: how the header differs from the sample's."""
    if table.columns == wanted.columns:
        return []
    expected, found = show_header(wanted.columns), show_header(table.columns)
    message = f"expected the header {expected}, found {found}"
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
