"""Label tables with run-length encoded masks; the rows of each image are merged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from goldfold.competitions.class_labels import read_image_and_class
from goldfold.competitions.class_maps import overlapping_classes
from goldfold.competitions.csv_text import read_csv_text
from goldfold.competitions.data_report import count_ids
from goldfold.competitions.images_table import CLASSES, JOINT, OBJECT_JOINT, OBJECTS, mask_columns
from goldfold.competitions.mask_sizes import StatedSize
from goldfold.competitions.pixel_runs import without_repeats
from goldfold.competitions.rle import (
    Dialect,
    Runs,
    area_px,
    format_runs,
    is_empty,
    merge_runs,
    parse,
)
from goldfold.competitions.run_counts import parse_counts
from goldfold.errors import RunLengthError, did_you_mean, plural
from goldfold.settings import LabelTable
from goldfold.settings_masks import MOST_MASKS

REPEATED = "repeated"
"""Column besides `OBJECTS`: how many rows of the image repeat the mask of another row."""
COLUMNS = ("image_id", "mask_rle", "area_px", "rows", "overlap_px", "end_px", "end_row")


@dataclass(frozen=True)
class Labels:
    """The masks of a table.

    Attributes:
        table: image_id, mask_rle (merged, "" if empty), area_px, rows, overlap_px, end_px (one
            past the last pixel of the mask) and end_row (the row with that pixel); one row per
            image, in order of first appearance.
        problems: one line for each bad row.
        malformed: the problems that are malformed masks.
        masks: number of rows that are not empty, malformed ones included.
        notices: irregularities that were handled, one line each.
        stated: what rows say of the size of their image, where the dialect does.
    """

    table: pd.DataFrame
    problems: list[str]
    malformed: list[str]
    masks: int
    notices: list[str] = field(default_factory=list)
    stated: list[StatedSize] = field(default_factory=list)


def read_labels(
    path: Path, id_column: str, rle_column: str, dialect: Dialect, *, objects: bool = False
) -> Labels:
    """Return the masks of a run-length table; the rows of each image are merged.

    An empty row besides others of the same image adds nothing. Bad rows are collected, so that all
    of them can be shown at once.

    Args:
        path: path of the table.
        id_column: column with the image ids.
        rle_column: column with the masks.
        dialect: run-length dialect of the masks.
        objects: whether rows are objects; the table then has the columns `OBJECTS` (the unique
            masks, not merged) and `REPEATED` as well.

    Raises:
        InputError: the table cannot be read or lacks a column.
    """
    table = read_csv_text(path, [id_column, rle_column])
    rows = _Rows(path, dialect)
    cells = zip(table.index, table[id_column].str.strip(), table[rle_column], strict=True)
    for row, image_id, text in cells:
        rows.add(int(row), image_id, text)
    stored = dialect.plain()
    repeated = [parts.drop_repeats() for parts in rows.images.values()] if objects else []
    merged_rows = [(image_id, *parts.merged(stored)) for image_id, parts in rows.images.items()]
    label_table = pd.DataFrame(merged_rows, columns=list(COLUMNS))
    if objects:
        masks = (
            [format_runs(runs, stored) for runs in parts.runs] for parts in rows.images.values()
        )
        label_table[OBJECTS] = [OBJECT_JOINT.join(texts) for texts in masks]
        label_table[REPEATED] = repeated
    return rows.labels(label_table)


def read_class_masks(
    path: Path,
    labels: LabelTable,
    classes: Sequence[str],
    dialect: Dialect,
    *,
    background: str | None = None,
) -> Labels:
    """Return the masks of a table with one row per image and class.

    A class without a row has an empty mask. Besides `COLUMNS`, which refer to the merged masks, the
    table has `CLASSES` and the `mask_columns` of each class.

    Args:
        path: path of the table.
        labels: names of its columns.
        classes: names of the classes; a row with another class is a problem.
        dialect: run-length dialect of the masks.
        background: where the classes of a pixel exclude each other: the class of the pixels of no
            other class, whose rows are passed over; masks that overlap are problems.

    Raises:
        InputError: the table cannot be read or lacks a column.
    """
    table = read_image_and_class(path, labels, labels.rle_column)
    table = table[table["class"] != background]
    unknown = ~table["class"].isin(classes)
    problems = [
        f"{path.name} row {row}: {name!r} is not a class; the classes are {', '.join(classes)}."
        f"{did_you_mean(name, classes)}"
        for row, name in table["class"][unknown].items()
    ]
    rows = _Rows(path, dialect)
    names = ("image_id", "class", labels.rle_column)
    cells = zip(table.index, *(table[name] for name in names), strict=True)
    for row, image_id, name, text in cells:
        rows.add(int(row), image_id, text, name if name in classes else None)
    stored = dialect.plain()
    merged_rows = [
        (image_id, *parts.merged(stored), *parts.of_classes(classes, stored))
        for image_id, parts in rows.images.items()
    ]
    own = [column for name in classes for column in mask_columns(name)]
    label_table = pd.DataFrame(merged_rows, columns=[*COLUMNS, CLASSES, *own])
    notices = _uneven_rows(table[~unknown], classes, path)
    if background is None:
        notices += _overlapping_classes(label_table, classes)
    else:
        problems += _shared_pixels(label_table, classes, stored)
    read = rows.labels(label_table, problems)
    return replace(read, notices=[*read.notices, *notices])


def _uneven_rows(table: pd.DataFrame, classes: Sequence[str], path: Path) -> list[str]:
    """Return notices listing the images that do not have exactly one row per class."""
    pairs = table.groupby(["image_id", "class"], sort=False).size()
    of_image = pairs.groupby("image_id", sort=False).size()
    lines = count_ids(
        of_image[of_image < len(classes)].index,
        "image has", "images have",
        f"no row for some class in {path.name}; a mask without a row is empty",
    )  # fmt: skip
    lines += count_ids(
        [f"{image_id} ({name})" for image_id, name in pairs[pairs > 1].index],
        "image and class has", "images and classes have",
        f"several rows in {path.name}; they are merged",
    )  # fmt: skip
    return lines


def _overlapping_classes(label_table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Return a notice listing the images in which masks of different classes overlap."""
    areas = label_table[[mask_columns(name)[1] for name in classes]].sum(axis=1)
    return count_ids(
        label_table.loc[areas > label_table["area_px"], "image_id"],
        "image has", "images have", "masks of different classes that overlap",
    )  # fmt: skip


def _shared_pixels(
    label_table: pd.DataFrame, classes: Sequence[str], dialect: Dialect
) -> list[str]:
    """Return a problem for each image in which classes share pixels, which names both."""
    names = [mask_columns(name) for name in classes]
    areas = label_table[[area for _, area in names]].sum(axis=1)
    rows = label_table[areas > label_table["area_px"]]
    problems = []
    for image_id, *masks in zip(rows["image_id"], *(rows[mask] for mask, _ in names), strict=True):
        pairs = overlapping_classes(masks, classes, dialect)
        named = " and of ".join(f"{first} and {second}" for first, second in pairs)
        problems.append(f"{image_id}: pixels of {named} overlap, but a pixel has exactly one class")
    if problems:
        problems[-1] += (
            '. Where classes may overlap, set task = "segmentation" (masks of up to '
            f"{MOST_MASKS} classes)"
        )
    return problems


class _Rows:
    """Collects the rows of a table of masks."""

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self.path, self.dialect = path, dialect
        self.images: dict[str, _Parts] = {}
        self.problems: list[str] = []
        self.malformed: list[str] = []
        self.masks = 0
        self.empties: Counter[str] = Counter()
        self.stated: list[StatedSize] = []

    def add(self, row: int, image_id: str, text: str, name: str | None = "") -> None:
        """Add a row; a row of an unknown class (None) is only counted."""
        if not image_id:
            self.problems.append(f"{self.path.name} row {row}: no image id")
            return
        of_image = self.images.setdefault(image_id, _Parts())
        of_image.rows += 1
        if name is None:
            return
        if is_empty(text) or text.strip() == self.dialect.empty:
            self.empties[text.strip()] += 1
            return
        self.masks += 1
        try:
            of_image.add(self._runs(text, row, image_id), row, name)
        except RunLengthError as error:
            self.malformed.append(f"{self.path.name} row {row}: {error}")
            self.problems.append(self.malformed[-1])

    def _runs(self, text: str, row: int, image_id: str) -> Runs:
        if self.dialect.runs != "counts":
            return parse(text, self.dialect, name=image_id)
        counts = parse_counts(text, self.dialect, name=image_id)
        self.stated.append(StatedSize(row, image_id, counts.pixels, counts.size))
        return counts.runs()

    def labels(self, table: pd.DataFrame, problems: Sequence[str] = ()) -> Labels:
        problems = [*problems, *self.problems]
        notices = _ways_to_be_empty(self.empties, self.path)
        return Labels(table, problems, self.malformed, self.masks, notices, self.stated)


def _ways_to_be_empty(empties: Counter[str], path: Path) -> list[str]:
    """Return a notice if empty masks are written in several ways, which may differ in meaning."""
    if len(empties) < 2:
        return []
    named = ", ".join(
        f"{plural(count, 'row', 'rows')} with {repr(token) if token else 'an empty cell'}"
        for token, count in sorted(empties.items())
    )
    return [f"{path.name} has empty masks of {len(empties)} kinds, all read as empty: {named}"]


@dataclass
class _Parts:
    """The rows of one image."""

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
        """Return the columns of `Labels.table` after image_id."""
        text, area = _merged(self.runs, dialect)
        overlap = sum(
            sum(area_px(runs) for runs in self._of(name)) - _merged(self._of(name), dialect)[1]
            for name in dict.fromkeys(self.names)
        )
        return text, area, self.rows, overlap, self.end_px, self.end_row

    def drop_repeats(self) -> int:
        """Drop repeated masks and return how many were dropped."""
        before, self.runs = len(self.runs), without_repeats(self.runs)
        self.names = self.names[: len(self.runs)]  # rows of objects have no class
        return before - len(self.runs)

    def of_classes(self, classes: Sequence[str], dialect: Dialect) -> list[str | int]:
        """Return the joined names of the classes with pixels, then mask and area of each class."""
        masks = [_merged(self._of(name), dialect) for name in classes]
        names = [name for name, (_, area) in zip(classes, masks, strict=True) if area]
        return [JOINT.join(names), *(cell for mask in masks for cell in mask)]

    def _of(self, name: str) -> list[Runs]:
        return [
            runs for runs, own_name in zip(self.runs, self.names, strict=True) if own_name == name
        ]


def _merged(parts: Sequence[Runs], dialect: Dialect) -> tuple[str, int]:
    """Return the encoded union, "" if it is empty, and its area in pixels."""
    merged = merge_runs(parts)
    area = area_px(merged)
    return (format_runs(merged, dialect) if area else ""), area
