"""The label table: one row an image, whatever the number of rows it was written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_text import read_csv_text
from goldfold.competitions.images_table import CLASSES, JOINT, OBJECT_JOINT, OBJECTS, mask_columns
from goldfold.competitions.label_tables import read_image_and_class
from goldfold.competitions.report import count_ids
from goldfold.competitions.rle import (
    Dialect,
    Runs,
    area_px,
    format_runs,
    is_empty,
    merge_runs,
    parse,
)
from goldfold.competitions.runs import without_repeats
from goldfold.errors import RunLengthError, did_you_mean
from goldfold.settings import LabelTable

REPEATED = "repeated"
"""Column beside that of objects: how many rows of the image repeat the mask of another."""
COLUMNS = ("image_id", "mask_rle", "area_px", "rows", "overlap_px", "end_px", "end_row")


@dataclass(frozen=True)
class Labels:
    """Labels of a table.

    Attributes:
        table: image_id, mask_rle (united, "" if empty), area_px, rows, overlap_px, end_px (one
            past the last pixel of the mask) and end_row (the row that says so); one row an
            image, in order of first appearance.
        problems: one line for each bad row.
        malformed: those of them whose mask cannot be read.
        masks: rows that are not empty, malformed ones included.
        notices: what was handled, one line each.
    """

    table: pd.DataFrame
    problems: list[str]
    malformed: list[str]
    masks: int
    notices: list[str] = field(default_factory=list)


def read_labels(
    path: Path, id_column: str, rle_column: str, dialect: Dialect, *, objects: bool = False
) -> Labels:
    """Return the labels of a run-length table, the rows of an image united.

    An empty row beside others of the same image adds nothing. Bad rows are collected, not
    raised, so that all can be shown at once.

    Args:
        path: of the table.
        id_column: with the image ids.
        rle_column: with the masks.
        dialect: of the masks.
        objects: rows are objects: the table has the columns `OBJECTS`, the masks one by one, each
            once, and `REPEATED` as well.

    Raises:
        InputError: the table cannot be read or lacks a column.
    """
    table = read_csv_text(path, [id_column, rle_column])
    rows = _Rows(path, dialect)
    cells = zip(table.index, table[id_column].str.strip(), table[rle_column], strict=True)
    for row, image_id, text in cells:
        rows.add(int(row), image_id, text)
    repeated = [parts.drop_repeats() for parts in rows.images.values()] if objects else []
    united = [(image_id, *parts.merged(dialect)) for image_id, parts in rows.images.items()]
    found = pd.DataFrame(united, columns=list(COLUMNS))
    if objects:
        masks = (
            [format_runs(one, dialect) for one in parts.runs] for parts in rows.images.values()
        )
        found[OBJECTS] = [OBJECT_JOINT.join(one) for one in masks]
        found[REPEATED] = repeated
    return rows.labels(found)


def read_class_masks(
    path: Path, labels: LabelTable, classes: Sequence[str], dialect: Dialect
) -> Labels:
    """Return the labels of a table whose rows are masks of an image and a class.

    A class without a row is an empty mask. Beside `COLUMNS`, which speak of all masks united, the
    table has `CLASSES` and, by class, `mask_columns`.

    Args:
        path: of the table.
        labels: its columns.
        classes: names; a row of another one is a problem.
        dialect: of the masks.

    Raises:
        InputError: the table cannot be read or lacks a column.
    """
    table = read_image_and_class(path, labels, labels.rle_column)
    unknown = ~table["class"].isin(classes)
    problems = [
        f"{path.name} row {row}: {name!r} is no class; there are {', '.join(classes)}."
        f"{did_you_mean(name, classes)}"
        for row, name in table["class"][unknown].items()
    ]
    rows = _Rows(path, dialect)
    names = ("image_id", "class", labels.rle_column)
    cells = zip(table.index, *(table[name] for name in names), strict=True)
    for row, image_id, name, text in cells:
        rows.add(int(row), image_id, text, name if name in classes else None)
    united = [
        (image_id, *parts.merged(dialect), *parts.of_classes(classes, dialect))
        for image_id, parts in rows.images.items()
    ]
    own = [column for name in classes for column in mask_columns(name)]
    found = pd.DataFrame(united, columns=[*COLUMNS, CLASSES, *own])
    notices = _rows_a_class(table[~unknown], classes, path) + _overlapping_classes(found, classes)
    return replace(rows.labels(found, problems), notices=notices)


def _rows_a_class(table: pd.DataFrame, classes: Sequence[str], path: Path) -> list[str]:
    """Return what is to be said where an image has not one row a class."""
    pairs = table.groupby(["image_id", "class"], sort=False).size()
    of_image = pairs.groupby("image_id", sort=False).size()
    lines = count_ids(
        of_image[of_image < len(classes)].index,
        "image has", "images have",
        f"no row of some class in {path.name}; a mask without a row is empty",
    )  # fmt: skip
    lines += count_ids(
        [f"{image_id} ({name})" for image_id, name in pairs[pairs > 1].index],
        "image and class has", "images and classes have",
        f"several rows in {path.name}; they are united",
    )  # fmt: skip
    return lines


def _overlapping_classes(found: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Return what is to be said where masks of different classes share pixels."""
    areas = found[[mask_columns(name)[1] for name in classes]].sum(axis=1)
    return count_ids(
        found.loc[areas > found["area_px"], "image_id"],
        "image has", "images have", "masks of different classes that overlap",
    )  # fmt: skip


class _Rows:
    """The rows of a table of masks, read one after the other."""

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self.path, self.dialect = path, dialect
        self.images: dict[str, _Parts] = {}
        self.problems: list[str] = []
        self.malformed: list[str] = []
        self.masks = 0

    def add(self, row: int, image_id: str, text: str, name: str | None = "") -> None:
        """Take a row in; one of no known class, None, counts as a row and no more."""
        if not image_id:
            self.problems.append(f"{self.path.name} row {row}: no image id")
            return
        of_image = self.images.setdefault(image_id, _Parts())
        of_image.rows += 1
        if name is None or is_empty(text):
            return
        self.masks += 1
        try:
            of_image.add(parse(text, self.dialect, name=image_id), row, name)
        except RunLengthError as error:
            self.malformed.append(f"{self.path.name} row {row}: {error}")
            self.problems.append(self.malformed[-1])

    def labels(self, table: pd.DataFrame, problems: Sequence[str] = ()) -> Labels:
        return Labels(table, [*problems, *self.problems], self.malformed, self.masks)


@dataclass
class _Parts:
    """What the rows of one image say."""

    rows: int = 0
    runs: list[Runs] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    end_px: int = 0
    end_row: int = 0

    def add(self, runs: Runs, row: int, name: str) -> None:
        self.runs.append(runs)
        self.names.append(name)
        end = int(runs.ends.max(initial=0))
        if end > self.end_px:
            self.end_px, self.end_row = end, row

    def merged(self, dialect: Dialect) -> tuple[str, int, int, int, int, int]:
        """Return the columns of `Labels.table` behind image_id."""
        text, area = _united(self.runs, dialect)
        overlap = sum(
            sum(area_px(one) for one in self._of(name)) - _united(self._of(name), dialect)[1]
            for name in dict.fromkeys(self.names)
        )
        return text, area, self.rows, overlap, self.end_px, self.end_row

    def drop_repeats(self) -> int:
        """Leave out masks that equal one before, and return how many."""
        before, self.runs = len(self.runs), without_repeats(self.runs)
        self.names = self.names[: len(self.runs)]  # rows of objects have no class
        return before - len(self.runs)

    def of_classes(self, classes: Sequence[str], dialect: Dialect) -> list[str | int]:
        """Return the names of the classes that have pixels, joined, and mask and area of each."""
        masks = [_united(self._of(name), dialect) for name in classes]
        names = [name for name, (_, area) in zip(classes, masks, strict=True) if area]
        return [JOINT.join(names), *(cell for mask in masks for cell in mask)]

    def _of(self, name: str) -> list[Runs]:
        return [runs for runs, one in zip(self.runs, self.names, strict=True) if one == name]


def _united(parts: Sequence[Runs], dialect: Dialect) -> tuple[str, int]:
    """Return the encoded union, "" if it is empty, and its area in pixels."""
    whole = merge_runs(parts)
    area = area_px(whole)
    return (format_runs(whole, dialect) if area else ""), area
