"""Writes a submission in the sample's order, and checks it before the file is replaced."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from goldfold.errors import InputError, list_problems, plural
from goldfold.files import write_text
from goldfold.submissions.layout import KEY_JOINT, Layout
from goldfold.submissions.table import pixels_of

Cells = str | Sequence[str] | Sequence[Sequence[str]]
"""The cells of a key: one; or one per value column; or, if rows are objects, one per row."""


def write_rows(
    path: Path,
    image_ids: Sequence[str],
    cells: Mapping[str, Cells] | Iterable[tuple[str, Cells]],
    *,
    layout: Layout,
    columns: Sequence[str] | None = None,
    shape: tuple[int, int] | None = None,
    shapes: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    """Write the rows in the order of `image_ids`; the same cells give the same bytes.

    Lines end with a line feed on every system. The file is written atomically, and not at all if
    anything is wrong.

    Args:
        path: the file.
        image_ids: the sample's keys in the sample's order (`read_sample`).
        cells: the cells of each key, in any order: one text; with several value columns one text
            per column; if rows are objects a list of texts, empty for an image without objects.
        layout: the columns and what they contain.
        columns: the sample's header, if its columns are in another order.
        shape: height and width of the images, None if they differ or are not known.
        shapes: image id -> height and width, where they differ.

    Raises:
        InputError: a key is missing, unknown or repeated, a cell is malformed, or the header
            has other columns.
        OutputError: the file cannot be written.
    """
    header = list(columns) if columns is not None else layout.columns
    if sorted(header) != sorted(layout.columns):
        names = " and ".join(repr(name) for name in layout.columns)
        raise InputError(
            f"expected a sample with the columns {names}, found "
            f"{header}. No other columns can be filled."
        )
    rows, problems = _gather(cells, layout)
    problems += id_problems(image_ids, rows, layout)
    for key, of_key in rows.items():
        pixels = pixels_of(layout.image_of(key), shape, shapes)
        problems += _cell_problems(key, of_key, layout, pixels)
    if problems:
        title = f"{path} was not written, {plural(len(problems), 'problem', 'problems')}:"
        raise InputError(list_problems(title, problems, "Predict the images of the sample again."))
    write_text(path, _format_rows(header, image_ids, rows, layout))


def _gather(
    cells: Mapping[str, Cells] | Iterable[tuple[str, Cells]], layout: Layout
) -> tuple[dict[str, list[list[str]]], list[str]]:
    """Return the rows of each key, and a problem for each repeated key."""
    rows: dict[str, list[list[str]]] = {}
    problems = []
    for key, cells_of_key in cells.items() if isinstance(cells, Mapping) else cells:
        if key in rows:
            problems.append(f"{key}: two {layout.whats}")
        rows[key] = _rows_of(cells_of_key, layout)
    return rows, problems


def _rows_of(cells: Cells, layout: Layout) -> list[list[str]]:
    if isinstance(cells, str):
        return [[cells]]
    if layout.objects:
        assert layout.dialect is not None
        objects = [cell if isinstance(cell, str) else cell[0] for cell in cells]
        return [[cell] for cell in objects or [layout.dialect.empty]]
    return [[str(cell) for cell in cells]]


def _cell_problems(
    key: str, rows: list[list[str]], layout: Layout, pixels: int | None
) -> list[str]:
    problems = []
    for row in rows:
        if len(row) != len(layout.value_columns):
            expected = plural(len(layout.value_columns), "cell", "cells")
            problems.append(f"{key}: expected {expected}, found {len(row)}")
        for cell in row:
            if (fault := layout.fault(cell, pixels)) is not None:
                problems.append(f"{key}: {fault[1]}")
    if layout.objects and not problems:
        together = layout.objects_fault([row[0] for row in rows])
        if together is not None:
            problems.append(f"{key}: {together[1]}")
    return problems


def id_problems(image_ids: Sequence[str], rows: Collection[str], layout: Layout) -> list[str]:
    """Return a problem for each key that is missing, unknown, or repeated in the sample.

    Args:
        image_ids: the sample's keys.
        rows: the keys that there are.
        layout: which says what a row holds.
    """
    wanted = set(image_ids)
    problems = [f"{key}: no {layout.what}" for key in image_ids if key not in rows]
    problems += [f"{key}: not in the sample" for key in rows if key not in wanted]
    if len(wanted) < len(image_ids):
        repeats = plural(len(image_ids) - len(wanted), "row repeats", "rows repeat")
        problems.append(f"{repeats} an id of the sample")
    return problems


def _format_rows(
    header: list[str], image_ids: Sequence[str], rows: Mapping[str, list[list[str]]], layout: Layout
) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    places = [layout.columns.index(name) for name in header]
    several = len(layout.key_columns) > 1
    for key in image_ids:
        names = key.split(KEY_JOINT, len(layout.key_columns) - 1) if several else [key]
        for row in rows[key]:
            cells = [*names, *row]
            writer.writerow([cells[place] for place in places])
    return buffer.getvalue()
