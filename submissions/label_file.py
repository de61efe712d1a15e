"""Files of probabilities or labels, read as a number of each image and class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError, list_problems, plural
from goldfold.submissions.layout import Layout
from goldfold.submissions.table import read_table

_SHOWN = 10


def read_label_file(
    path: Path, layout: Layout, classes: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Return by image the number of each class, NaN where no row tells.

    Raises:
        InputError: a column is missing, or cells are no probabilities or classes; all are named.
    """
    table = read_table(path)
    keys = [table.require(name) for name in layout.key_columns]
    values = [table.require(name) for name in layout.value_columns]
    table.check_widths()
    place = {name: number for number, name in enumerate(classes)}
    found: dict[str, NDArray[np.float64]] = {}
    problems = []
    for row in table.rows:
        key = row.key(keys)
        cells = [row.cells[value].strip() for value in values]
        faults = [fault[1] for cell in cells if (fault := layout.fault(cell)) is not None]
        name = layout.class_of(key)
        if name and name not in place:
            faults.append(f"{name!r} is no class")
        problems += [f"{path.name} row {row.number}: {fault}" for fault in faults]
        if faults:
            continue
        numbers = found.setdefault(layout.image_of(key), np.full(len(classes), np.nan))
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
        raise InputError(list_problems(title, problems, "Mend the file.", limit=_SHOWN))
    if not found:
        raise InputError(f"{path} holds no rows.")
    return found


def require_every_class(
    path: Path, probability: NDArray[np.float64], classes: Sequence[str]
) -> None:
    """Accept numbers (N, C) of a file that tell of every class of every image.

    Raises:
        InputError: rows are missing.
    """
    count = int(np.isnan(probability).any(axis=1).sum())
    if count:
        images = plural(count, "image lacks", "images lack")
        raise InputError(f"{path}: {images} a row for one of {', '.join(classes)}.")
