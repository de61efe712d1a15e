"""Further facts about the images, joined by id from tables besides the labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_text import read_csv_text
from goldfold.competitions.data_folder import find_table
from goldfold.competitions.data_report import DataReport, count_ids
from goldfold.competitions.id_forms import ask_for_ignores, same_ids
from goldfold.competitions.images_table import FIXED
from goldfold.errors import first_few
from goldfold.settings import ExtraTable
from goldfold.vocabulary import IdForm


def add_table(
    images: pd.DataFrame,
    data: Path,
    extra: ExtraTable,
    report: DataReport,
    ignores: Sequence[IdForm] | None = None,
) -> pd.DataFrame:
    """Return the images with further columns, which replace values read from image headers.

    Args:
        images: the table so far.
        data: the data folder.
        extra: settings of the table.
        report: receives problems and notices.
        ignores: what may differ between ids (`labels.id_ignores`); None = not decided.

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
    known = list(images["image_id"])
    report.problems += ask_for_ignores(list(ids), known, ignores, path.name)
    if ignores:
        ids = ids.replace(same_ids(list(ids), known, ignores)[0])
    _refuse_strangers(ids, images, path, extra, report)
    report.problems += count_ids(
        ids[ids.duplicated()].drop_duplicates(), "id is", "ids are", f"several times in {path.name}"
    )
    report.notices += count_ids(
        _left_out(images, ids), "image is", "images are", f"not in {path.name}"
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


def _left_out(images: pd.DataFrame, ids: pd.Series) -> list[str]:
    """Return the images without a row, but not those of a split that the table is not about."""
    there = images["image_id"].isin(ids)
    told = there.groupby(images["split"]).transform("any") if there.any() else ~there
    return list(images.loc[told & ~there, "image_id"])


def _refuse_strangers(
    ids: pd.Series, images: pd.DataFrame, path: Path, extra: ExtraTable, report: DataReport
) -> None:
    """Add a problem if no row of the table is of an image."""
    known = images["image_id"]
    if len(ids) and len(known) and not known.isin(ids).any():
        report.problems.append(
            f"no id in column {extra.id_column} of {path.name} is an image: its ids are "
            f"{first_few(list(ids.drop_duplicates()), limit=3)}, those of the images "
            f"{first_few(list(known), limit=3)}. Correct id_column in [[competition.tables]]."
        )


def _first_values(ids: pd.Series, cells: pd.Series, pattern: str | None) -> dict[str, str]:
    """Return id -> value in its first row, or the first group of the pattern, if there is one."""
    values: dict[str, str] = {}
    for image_id, cell in zip(ids, cells, strict=True):
        values.setdefault(image_id, _first_group(pattern, cell) if pattern else cell.strip())
    return values


def _first_group(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return (match.group(1) or "") if match else ""
