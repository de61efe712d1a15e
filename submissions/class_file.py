"""Submissions of probabilities or class labels, read as one number per image and class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError, list_problems, plural
from goldfold.submissions.layout import Layout
from goldfold.submissions.table import read_table

_SHOWN = 10


def read_class_file(
    path: Path, layout: Layout, classes: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Return image id -> number of each class, (C,); NaN without a row for that class.

    Raises:
        InputError: a column is missing, or cells are not probabilities or classes; the message
            names all of them.
    """
    table = read_table(path)
    keys = [table.require(name) for name in layout.key_columns]
    values = [table.require(name) for name in layout.value_columns]
    table.check_widths()
    place = {name: number for number, name in enumerate(classes)}
    numbers_of_image: dict[str, NDArray[np.float64]] = {}
    problems = []
    for row in table.rows:
        key = row.key(keys)
        cells = [row.cells[value].strip() for value in values]
        faults = [fault[1] for cell in cells if (fault := layout.fault(cell)) is not None]
        name = layout.class_of(key)
        if name and name not in place:
            faults.append(f"{name!r} is not a class")
        problems += [f"{path.name} row {row.number}: {fault}" for fault in faults]
        if faults:
            continue
        numbers = numbers_of_image.setdefault(layout.image_of(key), np.full(len(classes), np.nan))
        if layout.content == "label":
            numbers[:] = 0
            numbers[place[cells[0]]] = 1
        elif name:
            numbers[place[name]] = float(cells[0])
        elif len(values) > 1:
            for column, cell in zip(layout.value_columns, cells, strict=True):
                numbers[place[column]] = float(cell)
        else:  # one column: the probability of the last class
            numbers[-1] = float(cells[0])
            numbers[:-1] = (1 - numbers[-1]) / (len(classes) - 1)
    if problems:
        title = f"{path} is malformed:"
        raise InputError(list_problems(title, problems, "Correct the file.", limit=_SHOWN))
    if not numbers_of_image:
        raise InputError(f"{path} has no rows below the header.")
    return numbers_of_image


def require_every_class(
    path: Path, probability: NDArray[np.float64], classes: Sequence[str]
) -> None:
    """Raise an error unless a file has a number for every class of every image.

    Args:
        path: the file, for the message.
        probability: (N, C) numbers; NaN = no row.
        classes: names of the C classes.

    Raises:
        InputError: rows are missing.
    """
    count = int(np.isnan(probability).any(axis=1).sum())
    if count:
        images = plural(count, "image lacks", "images lack")
        raise InputError(f"{path}: {images} a row for at least one of {', '.join(classes)}.")
