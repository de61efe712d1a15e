"""How the rows of a submission are named, and what their cells hold.

Competitions differ in five ways only: one column names a row or two do; a class may be joined to
the image's id; an image may have a row for each object; and cells hold masks, probabilities or
class names. A `Layout` says which, and the same code writes and checks them all:

    ImageId,EncodedPixels            one row an image
    ImageId,EncodedPixels            one row an object (`objects`), an empty one for none
    ImageId_ClassId,EncodedPixels    one row an image and class, joined (`class_separator` "_")
    id,class,segmentation            one row an image and class, two key columns
    ID,Label                         a probability a row; the class may be joined to the id
    id,normal,pneumonia              a probability a class
    id,label                         the name of a class
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from goldfold.competitions.rle import Dialect, MalformedRunsError, parse
from goldfold.competitions.runs import area_px, unite
from goldfold.errors import InputError

Content = Literal["mask", "probability", "label"]
Fault = tuple[str, str]
"""One word for machines, and what was expected and found."""

KEY_JOINT = ","
"""Between the key cells of a row, where its key is written as one text."""

_NOT_A_VALUE = frozenset({"nan", "none", "null", "na", "n/a", "<na>", "inf", "-inf"})


@dataclass(frozen=True)
class Layout:
    """The columns of a submission and what they hold.

    Attributes:
        key_columns: columns that name a row: the image, or the image and the class.
        value_columns: the others: one, or one a class.
        content: what their cells hold.
        dialect: how masks are written; needed for them.
        class_separator: what parts image and class in the first key column; "" for no class.
        objects: whether an image may have several rows, one an object.
        labels: names that a cell of content `label` may hold; any if there are none.
    """

    key_columns: tuple[str, ...]
    value_columns: tuple[str, ...]
    content: Content = "mask"
    dialect: Dialect | None = None
    class_separator: str = ""
    objects: bool = False
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be written."""
        if not self.key_columns or not self.value_columns:
            raise InputError("expected at least one key column and one value column.")
        if self.content == "mask" and self.dialect is None:
            raise InputError("expected a dialect for masks, found none.")
        if self.objects and self.content != "mask":
            raise InputError("expected masks where a row is an object.")

    @property
    def columns(self) -> list[str]:
        """Return all columns, keys first."""
        return [*self.key_columns, *self.value_columns]

    @property
    def what(self) -> str:
        """Return the word for what a row holds."""
        return {"mask": "mask", "probability": "probability", "label": "label"}[self.content]

    @property
    def whats(self) -> str:
        """Return the word for what rows hold."""
        return {"mask": "masks", "probability": "probabilities", "label": "labels"}[self.content]

    def image_of(self, key: str) -> str:
        """Return the image of a row's key.

        >>> Layout(("id",), ("p",), "probability", class_separator="_").image_of("ID_1_any")
        'ID_1'
        """
        first = key.split(KEY_JOINT, maxsplit=1)[0] if len(self.key_columns) > 1 else key
        return first.rsplit(self.class_separator, 1)[0] if self.class_separator else first

    def class_of(self, key: str) -> str:
        """Return the class of a row's key, "" where rows have none.

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

        Stricter than reading: an empty mask has to be written as the dialect does. Surrounding
        spaces are let pass.

        Args:
            cell: as it stands in the file.
            pixels: of the image, None if its size is not known.
        """
        token = cell.strip()
        if self.content == "mask":
            assert self.dialect is not None
            return mask_fault(token, self.dialect, pixels)
        if not token:
            return "empty-cell", f"the cell is empty; expected a {self.what}"
        if self.content == "probability":
            return _probability_fault(token)
        if self.labels and token not in self.labels:
            return "unknown-label", f"found {token!r}; expected one of {', '.join(self.labels)}"
        return None

    def is_nothing(self, cell: str) -> bool:
        """Return whether a cell says that there is nothing: an empty mask."""
        return self.dialect is not None and cell.strip() == self.dialect.empty

    def objects_fault(self, cells: Sequence[str]) -> Fault | None:
        """Return what is wrong with the objects of one image together, None if nothing is.

        Args:
            cells: of its rows, each without a fault of its own.
        """
        if len(cells) > 1 and any(self.is_nothing(cell) for cell in cells):
            return "empty-beside", "an empty mask stands beside objects of the same image"
        assert self.dialect is not None
        runs = [parse(cell, self.dialect) for cell in cells]
        if area_px(unite(runs)) < sum(area_px(one) for one in runs):
            return "overlap", "objects of the same image overlap"
        return None


def masks(id_column: str, rle_column: str, dialect: Dialect) -> Layout:
    """Return the layout of one mask an image."""
    return Layout((id_column,), (rle_column,), "mask", dialect)


def format_probability(probability: float) -> str:
    """Return a probability as it is written: at most six digits, held within 0 and 1.

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
        parse(token, dialect, pixels=pixels)
    except MalformedRunsError as error:
        return error.fault, str(error)
    return None


def _probability_fault(token: str) -> Fault | None:
    if token.lower() in _NOT_A_VALUE:
        return "nan", f"found {token!r}; expected a probability"
    try:
        value = float(token)
    except ValueError:
        return "not-a-number", f"found {token!r}; expected a probability"
    if not 0 <= value <= 1:
        return "out-of-range", f"found {token}; expected a probability from 0 to 1"
    return None
