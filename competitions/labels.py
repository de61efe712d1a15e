"""The label table: one row an image, whatever the number of rows it was written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from goldfold.competitions.rle import Dialect, Runs, area_px, format_runs, is_empty, parse, unite
from goldfold.errors import InputError, RunLengthError

FIRST_ROW = 2  # the row number that an editor shows for the first row below the header


@dataclass(frozen=True)
class Labels:
    """Labels of a table.

    Attributes:
        table: image_id, mask_rle (united, "" if empty), area_px, rows, overlap_px, end_px (one
            past the last pixel of the mask); one row an image, in order of first appearance.
        problems: one line for each bad row.
    """

    table: pd.DataFrame
    problems: list[str]


def read_csv_text(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Return the named columns of a CSV as text, headers stripped, empty cells as "".

    Raises:
        InputError: unreadable, or a column is missing (the columns there are listed).
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path} as a CSV table: {error}.") from error
    table.columns = [str(column).strip() for column in table.columns]
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(table.columns)}."
        )
    # A short row is filled with NaN even so; here it means an empty cell.
    return table[list(columns)].fillna("")


def read_labels(path: Path, id_column: str, rle_column: str, dialect: Dialect) -> Labels:
    """Return the labels of a run-length table, the rows of an image united.

    An empty row beside others of the same image adds nothing. Bad rows are collected, not
    raised, so that all can be shown at once.

    Raises:
        InputError: the table cannot be read or lacks a column.
    """
    table = read_csv_text(path, [id_column, rle_column])
    problems: list[str] = []
    parts: dict[str, list[Runs]] = {}
    rows: dict[str, int] = {}
    cells = zip(table[id_column].str.strip(), table[rle_column], strict=True)
    for number, (image_id, text) in enumerate(cells, start=FIRST_ROW):
        if not image_id:
            problems.append(f"{path.name} row {number}: no image id")
            continue
        rows[image_id] = rows.get(image_id, 0) + 1
        found = parts.setdefault(image_id, [])
        if is_empty(text):
            continue
        try:
            found.append(parse(text, dialect, name=image_id))
        except RunLengthError as error:
            problems.append(f"{path.name} row {number}: {error}")
    united = [_unite(image_id, found, rows[image_id], dialect) for image_id, found in parts.items()]
    columns = ["image_id", "mask_rle", "area_px", "rows", "overlap_px", "end_px"]
    return Labels(pd.DataFrame(united, columns=columns), problems)


def _unite(
    image_id: str, parts: list[Runs], rows: int, dialect: Dialect
) -> tuple[str, str, int, int, int, int]:
    if not parts:
        return image_id, "", 0, rows, 0, 0
    whole = unite(parts)
    area = area_px(whole)
    overlap = sum(area_px(part) for part in parts) - area
    end = int(np.max(whole.starts + whole.lengths))
    return image_id, format_runs(whole, dialect), area, rows, overlap, end
