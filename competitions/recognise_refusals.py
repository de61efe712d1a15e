"""Why a table of unknown files does not label the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from goldfold.competitions.csv_text import csv_notes
from goldfold.competitions.data_folder import image_id_of
from goldfold.competitions.recognise_files import FoundFiles, Table
from goldfold.competitions.recognise_label_tables import LabelTableFound
from goldfold.competitions.table_ids import IdMatch, match_columns
from goldfold.errors import first_few, plural

_UNREAD = (".txt", ".xlsx", ".xls", ".ods", ".parquet", ".feather", ".pkl")
"""Endings of files that may be tables and are not read."""


def unusable_ids(labels: LabelTableFound, train: Sequence[Path], found: FoundFiles) -> str:
    """Return why the ids of a table cannot be used, "" if they can.

    Args:
        labels: the table, and how it names images.
        train: the training images.
        found: the files of the folder.
    """
    name, match = found.name(labels.table.path), labels.match
    if match.folders:
        return f"the ids of {name} {_several(labels, train, found)}. " + (
            "Write a table with one row per image."
        )
    return ""


def _several(labels: LabelTableFound, train: Sequence[Path], found: FoundFiles) -> str:
    """Return in words how an id stands for several images."""
    if labels.match.pattern is not None:
        return "name folders of several images each, such as patients, not images"
    ids = {*labels.table.rows[labels.match.column].str.strip()}
    named: dict[str, list[str]] = {}
    for path in train:
        named.setdefault(image_id_of(found.data, path), []).append(found.name(path))
    image_id, paths = next(
        (image_id, paths) for image_id, paths in named.items() if image_id in ids and len(paths) > 1
    )
    return f"name several images each: {image_id} is {first_few(paths, 3)}"


def why_no_labels(found: FoundFiles) -> list[str]:
    """Return a line for each table that labels no image, and for files that may be tables."""
    lines = [_why_not(table, found) for table in found.tables if table not in found.samples]
    unread = [ending for ending in _UNREAD if found.others[ending]]
    if unread:
        lines.append(
            f"tables are read from .csv and .tsv files, not from {first_few(unread)}: save them as "
            "CSV"
        )
    return [*found.unreadable, *lines]


def _why_not(table: Table, found: FoundFiles) -> str:
    """Return why a table that can be read labels no image."""
    name = found.name(table.path)
    matches = match_columns(table.rows, found.images, found.data)
    notes = [note.partition(" ")[2] for note in csv_notes(table.path) if "several columns" in note]
    if not matches:
        first = [f"{column} ({_first(table, column)})" for column in table.rows.columns]
        text = (
            f"{name}: no column names an image such as "
            f"{found.name(found.images[0])}; there are {first_few(first)}"
        )
    else:
        text = f"{name}: {_named(matches[0])}, but no other column can be the label"
        constant = [
            f"{column} is {cells.iloc[0]!r} in every row"
            for column, cells in table.rows.items()
            if len(cells) > 1 and (cells == cells.iloc[0]).all()
        ]
        text += f" ({first_few(constant)})" if constant else ""
    return "; it ".join([text, *notes])


def _named(match: IdMatch) -> str:
    return f"column {match.column} names {plural(match.images, 'image', 'images')}"


def _first(table: Table, column: str) -> str:
    return next((cell.strip()[:40] for cell in table.rows[column] if cell.strip()), "empty")
