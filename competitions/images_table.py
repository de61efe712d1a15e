"""images.csv: one row per image, with its path, size, labels and metadata."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from goldfold.competitions.group_forms import one_form
from goldfold.errors import InputError
from goldfold.files import write_text

NUMBERS = ("height", "width", "area_px", "rows")
FIXED = (
    "image_id",
    "split",
    "path",
    "height",
    "width",
    "labelled",
    "mask_rle",
    "area_px",
    "rows",
    "content_hash",
)
CONTENT = "content_hash"
"""Column with the hash of the image's file, "" without a file."""
CLASSES = "classes"
"""Additional column of competitions with classes: their names, joined by `JOINT`."""
SHARES = "class_shares"
"""Additional column if some targets lie between 0 and 1: those of all classes, by `JOINT`."""
NUMBER = "number"
"""Additional column of competitions of regression: the true number of an image, as text."""
JOINT = ";"
"""Separates the names of an image's classes."""
OBJECTS = "objects"
"""Additional column if the metric compares objects: the separate masks of the label rows."""
OBJECT_JOINT = "|"
"""Separates the run-length encodings of an image's objects."""
_REMEDY = "Run `goldfold check RUN` to build it again."


def mask_columns(name: str) -> tuple[str, str]:
    """Return the columns with mask and area of a class, if an image has several masks.

    >>> mask_columns("left")
    ('mask_rle:left', 'area_px:left')
    """
    return f"mask_rle:{name}", f"area_px:{name}"


def mask_sizes(images: pd.DataFrame, size: tuple[int, int] | None) -> list[tuple[int, int]]:
    """Return height and width of each image's masks and maps.

    Args:
        images: height and width of the images.
        size: that all masks have, `competition.mask_size`; None where it is that of the image.
    """
    if size is not None:
        return [size] * len(images)
    return list(zip(images["height"].tolist(), images["width"].tolist(), strict=True))


def of_class(images: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the table with the masks of one class in `mask_rle`; "" keeps the merged masks.

    Raises:
        InputError: the table has no masks of that class.
    """
    if not name:
        return images
    mask, area = mask_columns(name)
    if mask not in images.columns:
        raise InputError(f"images.csv has no masks of class {name!r}. {_REMEDY}")
    return images.assign(mask_rle=images[mask], area_px=images[area])


def object_cells(images: pd.DataFrame) -> list[str] | None:
    """Return the objects of each image as text, None if the metric does not compare objects."""
    return list(images[OBJECTS]) if OBJECTS in images.columns else None


def write_images(path: Path, images: pd.DataFrame) -> None:
    """Write the table atomically; the same table gives the same bytes."""
    write_text(path, images.to_csv(index=False, lineterminator="\n"))


def read_images(path: Path) -> pd.DataFrame:
    """Return the table: numbers as int64, `labelled` as bool, the rest as text ("" = unknown).

    Raises:
        InputError: the file is missing or is not such a table.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}. {_REMEDY}") from error
    missing = [column for column in FIXED if column not in table.columns]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}. {_REMEDY}")
    try:
        for column in [*NUMBERS, *(name for name in table.columns if name.startswith("area_px:"))]:
            table[column] = table[column].astype("int64")
    except ValueError as error:
        raise InputError(f"{path}, column {column}: {error}. {_REMEDY}") from None
    if not table["labelled"].isin(["True", "False"]).all():
        raise InputError(f"{path}, column labelled: expected True or False. {_REMEDY}")
    table["labelled"] = table["labelled"] == "True"
    return table


def training_images(images: pd.DataFrame) -> pd.DataFrame:
    """Return the labelled images of the training split."""
    return images[(images["split"] == "train") & images["labelled"]].reset_index(drop=True)


def test_images(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images of the test split."""
    return images[images["split"] == "test"].reset_index(drop=True)


test_images.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it


def group_column(images: pd.DataFrame, group: str) -> pd.Series:
    """Return the group of each image; an image without one is its own group.

    Values that differ in form only, such as 7 and 007, are the same group.

    Raises:
        InputError: there is no such column.
    """
    if group == "none":
        return images["image_id"]
    if group not in images.columns:
        own = [column for column in images.columns if column not in FIXED and ":" not in column]
        known = ", ".join(own) or "none"
        raise InputError(
            f"folds.group = {group!r}: images.csv has no such column (further columns: {known}). "
            'Set folds.group to one of them or to "none".'
        )
    values = pd.Series(one_form([str(value) for value in images[group]]), images.index, dtype=str)
    return values.where(values != "", images["image_id"])
