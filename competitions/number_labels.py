"""Reads one number per image from a column of a table and reports every bad cell."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_layout import has_decimal_comma
from goldfold.competitions.csv_text import read_csv_text
from goldfold.competitions.data_folder import require_table
from goldfold.competitions.data_report import count_ids
from goldfold.errors import plural
from goldfold.settings import CompetitionSettings
from goldfold.vocabulary import Combining


def read_number_labels(
    data: Path, settings: CompetitionSettings
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Return the numbers of a regression competition, problems and notices.

    The table has the columns image_id, number (as text) and rows, one row per image.

    Args:
        data: folder of the label table.
        settings: of the competition; all numbers must lie in its `number_range`.

    Raises:
        InputError: the label table is missing, unreadable or lacks a column.
    """
    labels = settings.labels
    assert labels.class_column is not None
    assert settings.number_range is not None
    path = require_table(data, labels.files, "label table", "competition.labels.files")
    table = read_csv_text(path, [labels.id_column, labels.class_column])
    cells = pd.DataFrame(
        {
            "image_id": table[labels.id_column].str.strip(),
            "number": table[labels.class_column].str.strip(),
        }
    )
    faults = [_fault(cell, *settings.number_range) for cell in cells["number"]]
    problems = [
        f"{path.name} row {row}: {labels.class_column} is {cell!r}; {fault}"
        for row, cell, fault in zip(cells.index, cells["number"], faults, strict=True)
        if fault
    ]
    good = cells[[not fault for fault in faults]]
    return _once(path, good, problems, labels.combine)


def _fault(cell: str, low: float, high: float) -> str:
    """Return what is wrong with a cell, "" if nothing is."""
    try:
        value = float(cell)
    except ValueError:
        comma = ": write it with a point" if has_decimal_comma(cell) else ""
        return f"expected a number{comma}"
    if not math.isfinite(value):
        return "expected a finite number"
    if not low <= value <= high:
        return (
            f"expected a number from {low:g} to {high:g}: correct it, or set "
            "competition.number_range"
        )
    return ""


def _once(
    path: Path, cells: pd.DataFrame, problems: list[str], how: Combining | None
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Return one row per image; rows that disagree are a problem, or averaged."""
    values = cells["number"].astype(float)
    distinct = cells[~pd.DataFrame({"id": cells["image_id"], "value": values}).duplicated()]
    against = list(dict.fromkeys(distinct.loc[distinct["image_id"].duplicated(), "image_id"]))
    kept = distinct.drop_duplicates("image_id").assign(rows=1).reset_index(drop=True)
    words = ("image has", "images have", f"different numbers in {path.name}")
    if against and how is not None:
        means = values.groupby(cells["image_id"].to_numpy()).mean()
        averaged = kept["image_id"].isin(against)
        kept.loc[averaged, "number"] = [
            f"{means[image]:.6g}" for image in kept.loc[averaged, "image_id"]
        ]
        return (
            kept,
            problems,
            [f"{line}; each is their mean" for line in count_ids(against, *words)],
        )
    advice = '. Set combine = "mean" in [competition.labels] of goldfold.toml, or correct the rows'
    problems = problems + [line + advice for line in count_ids(against, *words)]
    repeats = len(cells) - len(distinct)
    notices = []
    if repeats:
        verb = "repeats" if repeats == 1 else "repeat"
        notices.append(
            f"{plural(repeats, 'row', 'rows')} of {path.name} {verb} another; each counts once"
        )
    return kept, problems, notices
