"""Class labels: named by folders, in one column, in lists, a column or a row per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.class_cells import ClassNames, Flags
from goldfold.competitions.class_lists import read_lists
from goldfold.competitions.class_pairs import combine_pairs
from goldfold.competitions.class_rows import (
    ClassRows,
    combine_rows,
    named_classes,
    written_shares,
)
from goldfold.competitions.csv_text import read_csv_text
from goldfold.competitions.data_folder import require_table
from goldfold.competitions.data_report import count_ids
from goldfold.competitions.images_table import CLASSES, JOINT, SHARES
from goldfold.errors import did_you_mean
from goldfold.settings import CompetitionSettings, LabelTable

_SLACK = 1e-3
"""How far the shares of exclusive classes may add up to something else than 1."""


@dataclass(frozen=True)
class ClassLabels:
    """The class labels of a competition.

    Attributes:
        table: image_id, classes (names joined by `JOINT`, in their order) and rows, and `SHARES` if
            some targets lie between 0 and 1; one row per image, in order of first appearance.
        problems: one line each.
        notices: irregularities that were handled, one line each.
    """

    table: pd.DataFrame
    problems: list[str]
    notices: list[str]


def label_targets(classes_of: Sequence[str], classes: Sequence[str]) -> NDArray[np.uint8]:
    """Return the targets of 0 and 1, uint8 (N, C), from the column `classes` of images.csv.

    >>> label_targets(["a;c", ""], ["a", "b", "c"]).tolist()
    [[1, 0, 1], [0, 0, 0]]
    """
    place = {name: number for number, name in enumerate(classes)}
    targets = np.zeros((len(classes_of), len(classes)), np.uint8)
    for row, text in enumerate(classes_of):
        for name in filter(None, text.split(JOINT)):
            targets[row, place[name]] = 1
    return targets


def share_targets(cells: Sequence[str], count: int) -> NDArray[np.float32]:
    """Return targets of 0 to 1, float32 (N, C), from the column `SHARES` of images.csv.

    An image without a row in the label table, which has none of the C classes, has an empty cell.

    >>> share_targets(["0.5;1", ""], 2).tolist()
    [[0.5, 1.0], [0.0, 0.0]]
    """
    nothing = JOINT.join("0" * count)
    rows = [[float(share) for share in (text or nothing).split(JOINT)] for text in cells]
    return np.array(rows, np.float32).reshape(len(rows), count)


def read_class_labels(
    images: pd.DataFrame, data: Path, settings: CompetitionSettings
) -> ClassLabels:
    """Return the class labels of a competition.

    Args:
        images: image_id and path of the images, for classes named by folders.
        data: folder of the label table.
        settings: settings of the competition.

    Raises:
        InputError: the label table is missing, unreadable or lacks a column.
    """
    labels, classes = settings.labels, settings.classes
    if labels.kind == "folders":
        return _from_folders(images, classes, labels.class_folder)
    path = require_table(data, labels.files, "label table", "competition.labels.files")
    read = {"column": _from_column, "wide": _from_wide, "long": _from_long, "lists": _from_lists}
    rows = read[labels.kind](path, settings)
    exclusive = settings.exclusive or labels.kind == "column"
    return _labelled(rows, classes, exclusive=exclusive)


def _labelled(rows: ClassRows, classes: Sequence[str], *, exclusive: bool) -> ClassLabels:
    """Return the labels of combined rows; exclusive classes are checked."""
    problems, notices = list(rows.problems), list(rows.notices)
    if exclusive:
        wrong = np.abs(rows.shares.sum(axis=1) - 1) > _SLACK
        problems += count_ids(
            [name for name, is_wrong in zip(rows.image_ids, wrong, strict=True) if is_wrong],
            "image has", "images have", "not exactly one class",
        )  # fmt: skip
    table = pd.DataFrame(
        {
            "image_id": pd.Series(rows.image_ids, dtype=str),
            CLASSES: named_classes(rows.shares, classes, exclusive=exclusive),
            "rows": rows.rows,
        }
    )
    soft = np.asarray(((rows.shares > 0) & (rows.shares < 1)).any(axis=1))
    if soft.any():
        table[SHARES] = written_shares(rows.shares)
        notices += count_ids(
            table.loc[soft, "image_id"],
            "image has", "images have",
            "targets between 0 and 1: training uses them, metric and folds count a class from 0.5",
        )  # fmt: skip
    return ClassLabels(table, problems, notices)


def _from_folders(images: pd.DataFrame, classes: Sequence[str], level: int) -> ClassLabels:
    folders = [PurePosixPath(path).parts[:-1] for path in images["path"]]
    names = [parts[-level] if level <= len(parts) else "" for parts in folders]
    # A test image may lie in any folder: its class is unknown, or that of a hidden test set.
    is_train = images["split"] == "train"
    bad = sorted({n for n, used in zip(names, is_train, strict=True) if used} - {*classes})
    problems = [
        f"folder {name} is not a class; the classes are {', '.join(classes)}."
        f"{did_you_mean(name, classes)}"
        for name in bad
    ]
    columns = {"image_id": images["image_id"], "split": images["split"], "classes": names}
    table = pd.DataFrame(columns).assign(rows=1)
    return ClassLabels(table[table["classes"].isin(classes)], problems, [])


def _from_column(path: Path, settings: CompetitionSettings) -> ClassRows:
    labels, classes = settings.labels, settings.classes
    assert labels.class_column is not None
    table = read_csv_text(path, [labels.id_column, labels.class_column])
    names = ClassNames(path, classes, labels)
    cells = zip(table.index, table[labels.class_column].str.strip(), strict=True)
    places = [names.place(cell, int(row)) for row, cell in cells]
    known = np.array([place is not None for place in places], bool)
    numbers = np.array([place for place in places if place is not None], np.int64)
    shares = (np.arange(len(classes)) == numbers[:, None]).astype(np.float64)
    ids = table[labels.id_column].str.strip()[known]
    rows = combine_rows(ids, shares, labels.combine, path.name, exclusive=True)
    return replace(rows, problems=names.problems() + rows.problems)


def _from_lists(path: Path, settings: CompetitionSettings) -> ClassRows:
    """Return labels from a table with several names in a cell."""
    labels = settings.labels
    assert labels.class_column is not None
    table = read_csv_text(path, [labels.id_column, labels.class_column])
    shares, problems = read_lists(table[labels.class_column], path, labels, settings.classes)
    ids = table[labels.id_column].str.strip()
    rows = combine_rows(ids, shares, labels.combine, path.name, exclusive=False)
    return replace(rows, problems=problems + rows.problems)


def _from_wide(path: Path, settings: CompetitionSettings) -> ClassRows:
    labels, classes = settings.labels, settings.classes
    table = read_csv_text(path, [labels.id_column, *classes])
    flags = Flags(path, labels)
    shares = np.column_stack([flags.read(table[name], name) for name in classes])
    rows = combine_rows(
        table[labels.id_column].str.strip(),
        np.nan_to_num(shares),
        labels.combine,
        path.name,
        exclusive=settings.exclusive,
    )
    return replace(rows, problems=flags.problems() + rows.problems)


def _from_long(path: Path, settings: CompetitionSettings) -> ClassRows:
    """Return labels from a table with one row per image and class."""
    labels, classes = settings.labels, settings.classes
    table = read_image_and_class(path, labels, labels.value_column)
    names, flags = ClassNames(path, classes, labels), Flags(path, labels)
    kinds, of_kind = pd.factorize(table["class"])
    first_rows = [int(table.index[place]) for place in np.unique(kinds, return_index=True)[1]]
    places = [names.place(str(n), row) for n, row in zip(of_kind, first_rows, strict=True)]
    place = np.array([-1 if number is None else number for number in places], np.int64)[kinds]
    shares = np.zeros(len(table))
    for number in range(-1, len(classes)):
        here = np.flatnonzero(place == number)
        if len(here):
            cells = table[labels.value_column].iloc[here]
            shares[here] = flags.read(cells, labels.value_column, classes[max(number, 0)])
    known = place >= 0
    pairs = combine_pairs(
        table["image_id"][known],
        place[known],
        np.nan_to_num(shares[known]),
        classes,
        labels.combine,
        path.name,
    )
    return replace(pairs, problems=flags.problems() + names.problems() + pairs.problems)


def read_image_and_class(path: Path, labels: LabelTable, value_column: str) -> pd.DataFrame:
    """Return the columns image_id, class and `value_column` of a table with one row per pair.

    The class is in a column of its own, or after the last `class_separator` of the id; "" if there
    is none.

    Raises:
        InputError: the table cannot be read or lacks a column.
    """
    columns = [labels.id_column, value_column]
    if labels.class_column is not None:
        table = read_csv_text(path, [*columns, labels.class_column])
        image, of_class = table[labels.id_column].str.strip(), table[labels.class_column]
    else:
        table = read_csv_text(path, columns)
        parts = table[labels.id_column].str.strip().str.rsplit(labels.class_separator, n=1)
        image, of_class = parts.str[0].fillna(""), parts.str[1].fillna("")
    named = {"image_id": image, "class": of_class.str.strip(), value_column: table[value_column]}
    return pd.DataFrame(named)
