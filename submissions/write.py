"""A submission file in the sample's order, checked before it takes its place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from goldfold.errors import InputError, list_problems, plural
from goldfold.files import write_text
from goldfold.submissions.layout import KEY_JOINT, Layout
from goldfold.submissions.table import pixels_of

Cells = str | Sequence[str] | Sequence[Sequence[str]]
"""What a key's rows hold: a cell; or a cell a column; or, where rows are objects, a cell a row."""


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

    Lines end with a line feed, on every system. The file is written whole or not at all, and
    not at all if anything is wrong.

    Args:
        path: the file.
        image_ids: the sample's keys in the sample's order (`read_sample`).
        cells: what each key's row holds, in any order: a text; with several value columns a text
            for each; where rows are objects a list of texts, empty for an image without one.
        layout: the columns and what they hold.
        columns: the sample's header, if its columns stand in another order.
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
            f"{header}. Other columns cannot be filled."
        )
    rows, problems = _gather(cells, layout)
    problems += _id_problems(image_ids, rows, layout)
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
    """Return the rows of each key, and the keys that came twice as problems."""
    rows: dict[str, list[list[str]]] = {}
    problems = []
    for key, found in cells.items() if isinstance(cells, Mapping) else cells:
        if key in rows:
            problems.append(f"{key}: two {layout.whats}")
        rows[key] = _rows_of(found, layout)
    return rows, problems


def _rows_of(found: Cells, layout: Layout) -> list[list[str]]:
    if isinstance(found, str):
        return [[found]]
    if layout.objects:
        assert layout.dialect is not None
        objects = [one if isinstance(one, str) else one[0] for one in found]
        return [[one] for one in objects or [layout.dialect.empty]]
    return [[str(one) for one in found]]


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


def _id_problems(image_ids: Sequence[str], rows: Mapping[str, object], layout: Layout) -> list[str]:
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
