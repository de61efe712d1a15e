"""Class labels: named by folders, in one column, in one column per class, or one row per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.csv_text import read_csv_text
from goldfold.competitions.data_folder import require_table
from goldfold.competitions.data_report import count_ids
from goldfold.competitions.images_table import JOINT
from goldfold.errors import did_you_mean, plural
from goldfold.settings import CompetitionSettings, LabelTable

_YES, _NO = frozenset({"1", "1.0", "true"}), frozenset({"0", "0.0", "false"})
_SHOWN = 20


@dataclass(frozen=True)
class ClassLabels:
    """The class labels of a competition.

    Attributes:
        table: image_id, classes (names joined by `JOINT`, in their order) and rows; one row per
            image, in order of first appearance.
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
    if labels.kind == "column":
        return _from_column(path, labels, classes)
    read = _from_wide if labels.kind == "wide" else _from_long
    labels_of_table = read(path, labels, classes)
    if not settings.exclusive:
        return labels_of_table
    several = (
        labels_of_table.table["classes"].str.count(JOINT) + (labels_of_table.table["classes"] != "")
        != 1
    )
    return ClassLabels(
        labels_of_table.table,
        labels_of_table.problems
        + count_ids(labels_of_table.table.loc[several, "image_id"], "image has", "images have",
                    "not exactly one class"),
        labels_of_table.notices,
    )  # fmt: skip


def _from_folders(images: pd.DataFrame, classes: Sequence[str], level: int) -> ClassLabels:
    folders = [PurePosixPath(path).parts[:-1] for path in images["path"]]
    names = [parts[-level] if level <= len(parts) else "" for parts in folders]
    bad = sorted({name for name in names if name not in classes})
    problems = [
        f"folder {name} is not a class; the classes are {', '.join(classes)}."
        f"{did_you_mean(name, classes)}"
        for name in bad
    ]
    table = pd.DataFrame({"image_id": images["image_id"], "classes": names, "rows": 1})
    return ClassLabels(table[~table["classes"].isin(bad)], problems, [])


def _from_column(path: Path, labels: LabelTable, classes: Sequence[str]) -> ClassLabels:
    assert labels.class_column is not None
    table = read_csv_text(path, [labels.id_column, labels.class_column])
    cells = pd.DataFrame(
        {
            "image_id": table[labels.id_column].str.strip(),
            "classes": table[labels.class_column].str.strip(),
        }
    )
    bad = ~cells["classes"].isin(classes)
    problems = [
        f"{path.name} row {row}: {name!r} is not a class; the classes are {', '.join(classes)}."
        f"{did_you_mean(name, classes)}"
        for row, name in cells.loc[bad, "classes"].items()
    ]
    return _once(path, cells[~bad], problems)


def _from_wide(path: Path, labels: LabelTable, classes: Sequence[str]) -> ClassLabels:
    table = read_csv_text(path, [labels.id_column, *classes])
    names = np.full(len(table), "", dtype=object)
    problems: list[str] = []
    for name in classes:
        yes, wrong = _flags(table[name], path, name)
        problems += wrong
        joint = np.where((names != "") & yes, JOINT, "")
        names = names + joint + np.where(yes, name, "")
    cells = pd.DataFrame({"image_id": table[labels.id_column].str.strip(), "classes": names})
    return _once(path, cells.set_index(table.index), problems)


def _from_long(path: Path, labels: LabelTable, classes: Sequence[str]) -> ClassLabels:
    """Return labels from a table with one row per image and class."""
    table = read_image_and_class(path, labels, labels.value_column)
    image, of_class = table["image_id"], table["class"]
    yes, problems = _flags(table[labels.value_column], path, labels.value_column)
    unknown = ~of_class.isin(classes)
    problems += [
        f"{path.name} row {row}: {name!r} is not a class; the classes are {', '.join(classes)}."
        f"{did_you_mean(name, classes)}"
        for row, name in of_class[unknown].head(_SHOWN).items()
    ]
    cells = pd.DataFrame({"image_id": image, "class": of_class, "yes": yes})[~unknown]
    again = cells.duplicated(["image_id", "class"])
    against = cells.groupby(["image_id", "class"])["yes"].nunique()
    problems += count_ids(
        [f"{image_id} ({name})" for image_id, name in against[against > 1].index],
        "image and class is", "images and classes are", f"0 and 1 in different rows of {path.name}",
    )  # fmt: skip
    notices = []
    if again.any():
        repeats = int(again.sum())
        notices.append(
            f"{plural(repeats, 'row', 'rows')} of {path.name} "
            f"{'repeats' if repeats == 1 else 'repeat'} an image and class; each counts once"
        )
    cells = cells[~again]
    rows = cells.groupby("image_id", sort=False).size()
    problems += count_ids(
        rows[rows < len(classes)].index,
        "image has", "images have", f"fewer than {len(classes)} rows in {path.name}",
    )  # fmt: skip
    return ClassLabels(_joined(cells, rows, classes), problems, notices)


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


def _joined(cells: pd.DataFrame, rows: pd.Series, classes: Sequence[str]) -> pd.DataFrame:
    """Return image_id, classes and rows, one row per image, from image_id, class and yes."""
    order = {name: number for number, name in enumerate(classes)}
    positive = cells[cells["yes"]].assign(order=lambda table: table["class"].map(order))
    positive = positive.sort_values("order", kind="stable")
    named = positive.groupby("image_id", sort=False)["class"].agg(JOINT.join)
    return pd.DataFrame(
        {
            "image_id": rows.index,
            "classes": named.reindex(rows.index).fillna("").to_numpy(),
            "rows": rows.to_numpy(),
        }
    )


def _flags(cells: pd.Series, path: Path, column: str) -> tuple[NDArray[np.bool_], list[str]]:
    """Return which cells mean yes, and a line for each cell that means neither yes nor no."""
    words = cells.str.strip().str.lower()
    yes, no = words.isin(_YES), words.isin(_NO)
    bad = cells[~yes & ~no]
    problems = [
        f"{path.name} row {row}: {column} is {cell!r}; expected 0 or 1"
        for row, cell in bad.head(_SHOWN).items()
    ]
    if len(bad) > _SHOWN:
        problems.append(f"{path.name}: {len(bad) - _SHOWN:,} more such rows in {column}")
    return yes.to_numpy(), problems


def _once(path: Path, cells: pd.DataFrame, problems: list[str]) -> ClassLabels:
    """Return one row per image; rows that repeat an image must agree."""
    distinct = cells.drop_duplicates()
    against = distinct.loc[distinct["image_id"].duplicated(), "image_id"]
    problems = problems + count_ids(
        dict.fromkeys(against), "image has", "images have", f"different classes in {path.name}"
    )
    notices = []
    if repeats := len(cells) - len(distinct):
        notices.append(
            f"{plural(repeats, 'row', 'rows')} of {path.name} "
            f"{'repeats' if repeats == 1 else 'repeat'} another; each counts once"
        )
    table = distinct.drop_duplicates("image_id").assign(rows=1)
    return ClassLabels(table.reset_index(drop=True), problems, notices)
