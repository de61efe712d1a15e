"""Further facts about the images, joined by id from tables besides the labels."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_text import read_csv_text
from goldfold.competitions.data_folder import find_table
from goldfold.competitions.data_report import DataReport, count_ids
from goldfold.competitions.images_table import FIXED
from goldfold.settings import ExtraTable


def add_table(
    images: pd.DataFrame, data: Path, extra: ExtraTable, report: DataReport
) -> pd.DataFrame:
    """Return the images with further columns, which replace values read from image headers.

    Raises:
        InputError: the table cannot be read or lacks a column.
    """
    path = find_table(data, [extra.file])
    if path is None:
        message = f"no {extra.file} (columns {', '.join(extra.columns)})"
        message += f"; {extra.note}" if extra.note else ""
        (report.problems if extra.required else report.notices).append(message)
        return images
    taken = [name for name in extra.columns if name in FIXED]
    if taken:
        report.problems.append(
            f"{path.name} cannot provide the column {', '.join(taken)}, as images.csv has one of "
            "that name: rename it"
        )
        return images
    table = read_csv_text(path, list(dict.fromkeys([extra.id_column, *extra.columns.values()])))
    ids = table[extra.id_column].str.strip()
    report.problems += count_ids(
        ids[ids.duplicated()].drop_duplicates(), "id is", "ids are", f"several times in {path.name}"
    )
    report.notices += count_ids(
        images.loc[~images["image_id"].isin(ids), "image_id"],
        "image is",
        "images are",
        f"not in {path.name}",
    )
    joined = images.copy()
    for new, old in extra.columns.items():
        values = _first_values(ids, table[old], extra.patterns.get(new))
        before = joined[new] if new in joined.columns else [""] * len(joined)
        joined[new] = [
            values.get(image_id) or old_value
            for image_id, old_value in zip(joined["image_id"], before, strict=True)
        ]
    return joined


def _first_values(ids: pd.Series, cells: pd.Series, pattern: str | None) -> dict[str, str]:
    """Return id -> value in its first row, or the first group of the pattern, if there is one."""
    values: dict[str, str] = {}
    for image_id, cell in zip(ids, cells, strict=True):
        values.setdefault(image_id, _first_group(pattern, cell) if pattern else cell.strip())
    return values


def _first_group(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return (match.group(1) or "") if match else ""
