"""The layout of a submission: what identifies a row, and what its cells contain.

Competitions differ only in a few ways: one or two columns identify a row; the class may be joined
to the image id; an image may have one row per object; and cells contain masks, probabilities or
class names. A `Layout` describes these, and the same code writes and checks all of them:

    ImageId,EncodedPixels            one row per image
    ImageId,EncodedPixels            one row per object (`objects`), an empty one for none
    ImageId_ClassId,EncodedPixels    one row per image and class, joined (`class_separator` "_")
    id,class,segmentation            one row per image and class, two key columns
    ID,Label                         one probability per row; the class may be joined to the id
    id,normal,pneumonia              one probability per class
    id,label                         the name of a class, or a number
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from goldfold.competitions.pixel_runs import area_px, merge_runs
from goldfold.competitions.rle import Dialect, MalformedRunsError, parse
from goldfold.errors import InputError

Content = Literal["mask", "probability", "label", "number"]
Fault = tuple[str, str]
"""A short identifier, and what was expected and found."""

KEY_JOINT = ","
"""Joins the key cells of a row to one text."""

_NOT_A_VALUE = frozenset({"nan", "none", "null", "na", "n/a", "<na>", "inf", "-inf"})


@dataclass(frozen=True)
class Layout:
    """The columns of a submission and what they contain.

    Attributes:
        key_columns: columns that identify a row: the image, or the image and the class.
        value_columns: the other columns: a single one or one per class.
        content: what the cells of the value columns contain.
        dialect: run-length dialect; required for masks.
        class_separator: separates image and class in the first key column; "" for no class.
        objects: whether an image may have several rows, one per object.
        labels: class names that a cell of content `label` may contain; empty = any name.
    """

    key_columns: tuple[str, ...]
    value_columns: tuple[str, ...]
    content: Content = "mask"
    dialect: Dialect | None = None
    class_separator: str = ""
    objects: bool = False
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a layout that cannot be written.

        Raises:
            InputError: columns or dialect are missing, or objects are not masks.
        """
        if not self.key_columns or not self.value_columns:
            raise InputError("expected at least one key column and one value column.")
        if self.content == "mask" and self.dialect is None:
            raise InputError("expected a dialect for masks, found none.")
        if self.objects and self.content != "mask":
            raise InputError("expected masks, since each row is an object.")

    @property
    def columns(self) -> list[str]:
        """Return all columns, keys first."""
        return [*self.key_columns, *self.value_columns]

    @property
    def what(self) -> str:
        """Return the word for the content of a row."""
        return "class label" if self.content == "label" else self.content

    @property
    def whats(self) -> str:
        """Return the word for the content of several rows."""
        return "probabilities" if self.content == "probability" else f"{self.what}s"

    def image_of(self, key: str) -> str:
        """Return the image that a row's key names.

        >>> Layout(("id",), ("p",), "probability", class_separator="_").image_of("ID_1_any")
        'ID_1'
        """
        first = key.split(KEY_JOINT, maxsplit=1)[0] if len(self.key_columns) > 1 else key
        return first.rsplit(self.class_separator, 1)[0] if self.class_separator else first

    def class_of(self, key: str) -> str:
        """Return the class that a row's key names, "" where rows have none.

        >>> Layout(("id", "class"), ("p",), "probability").class_of("case1,stomach")
        'stomach'
        """
        if len(self.key_columns) > 1:
            return key.split(KEY_JOINT, 1)[1]
        if not self.class_separator or self.class_separator not in key:
            return ""
        return key.rsplit(self.class_separator, 1)[1]

    def fault(self, cell: str, pixels: int | None = None) -> Fault | None:
        """Return what is wrong with a cell, None if nothing is.

        This is stricter than reading: an empty mask must be written as the dialect writes it.
        Surrounding spaces are accepted.

        Args:
            cell: the cell as written in the file.
            pixels: number of pixels of the image, None if its size is not known.
        """
        token = cell.strip()
        if self.content == "mask":
            assert self.dialect is not None
            return mask_fault(token, self.dialect, pixels)
        if not token:
            return "empty-cell", f"the cell is empty; expected a {self.what}"
        if self.content == "probability":
            return _probability_fault(token)
        if self.content == "number":
            return _number_fault(token, "number")
        if self.labels and token not in self.labels:
            return "unknown-label", f"found {token!r}; expected one of {', '.join(self.labels)}"
        return None

    def is_nothing(self, cell: str) -> bool:
        """Return whether a cell is an empty mask."""
        return self.dialect is not None and cell.strip() == self.dialect.empty

    def objects_fault(self, cells: Sequence[str]) -> Fault | None:
        """Return what is wrong with the objects of one image together, None if nothing is.

        Args:
            cells: the cells of its rows, each valid on its own.
        """
        if len(cells) > 1 and any(self.is_nothing(cell) for cell in cells):
            return "empty-beside", "the image has objects and a row with an empty mask"
        assert self.dialect is not None
        runs = [parse(cell, self.dialect) for cell in cells]
        if area_px(merge_runs(runs)) < sum(area_px(part) for part in runs):
            return "overlap", "objects of the same image overlap"
        return None


def masks(id_column: str, rle_column: str, dialect: Dialect) -> Layout:
    """Return the layout with one mask per image."""
    return Layout((id_column,), (rle_column,), "mask", dialect)


def format_probability(probability: float) -> str:
    """Return a probability as text: at most six significant digits, clipped to 0 to 1.

    >>> format_probability(0.123456789), format_probability(1.0000001), format_probability(2e-9)
    ('0.123457', '1', '2e-09')
    """
    if math.isnan(probability):
        raise InputError("expected a probability, found nan.")
    return f"{min(max(probability, 0.0), 1.0):.6g}"


def mask_fault(token: str, dialect: Dialect, pixels: int | None) -> Fault | None:
    """Return what is wrong with a written mask, None if nothing is."""
    if token == dialect.empty:
        return None
    blank = f'"{dialect.empty}"' if dialect.empty else "an empty cell"
    if not token:
        return "empty-cell", f"the cell is empty; an empty mask is written as {blank}"
    if token.lower() in _NOT_A_VALUE:
        return "nan", f"found {token!r}; an empty mask is written as {blank}"
    if token in ("-1", "-"):
        return "empty-token", f"found {token!r}; an empty mask is written as {blank}"
    try:
        parse(token, dialect, pixels=pixels, strict=True)
    except MalformedRunsError as error:
        return error.fault, str(error)
    return None


def _probability_fault(token: str) -> Fault | None:
    if fault := _number_fault(token, "probability"):
        return fault
    if not 0 <= float(token) <= 1:
        return "out-of-range", f"found {token}; expected a probability from 0 to 1"
    return None


def _number_fault(token: str, what: str) -> Fault | None:
    if token.lower() in _NOT_A_VALUE:
        return "nan", f"found {token!r}; expected a {what}"
    try:
        finite = math.isfinite(float(token))
    except ValueError:
        return "not-a-number", f"found {token!r}; expected a {what}"
    if what == "number" and not finite:
        return "nan", f"found {token!r}; expected a finite number"
    return None
