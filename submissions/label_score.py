"""The score of a submission of classes against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.label_metric import label_score
from goldfold.errors import InputError, list_problems
from goldfold.submissions.layout import Layout
from goldfold.submissions.table import read_table

_SHOWN = 10


@dataclass(frozen=True)
class LabelScores:
    """What a submission of classes scores.

    Attributes:
        metric: its name; higher is better.
        score: of the submission.
        constant: of the classes' frequencies, without looking; NaN where that has no meaning.
        images: how many were scored.
        classes: by class, images of it.
    """

    metric: str
    score: float
    constant: float
    images: int
    classes: dict[str, int]


def score_labels(
    path: Path,
    solution: Path,
    *,
    layout: Layout,
    classes: Sequence[str],
    exclusive: bool,
    metric: str,
    class_weights: Sequence[float],
) -> LabelScores:
    """Return the score of a submission; both files have the same layout.

    Args:
        path: the submission.
        solution: the truth, 0 and 1 (or the names of the classes) in the submission's columns.
        layout: of both.
        classes: C names.
        exclusive: exactly one class an image.
        metric: name of a metric of classes.
        class_weights: (C,) of the logarithmic loss.

    Raises:
        InputError: a file is malformed, or they are not about the same images and classes.
    """
    said, true = (_read(one, layout, classes) for one in (path, solution))
    missing = [name for name in true if name not in said]
    unknown = [name for name in said if name not in true]
    problems = [f"{name}: in {solution}, not in {path}" for name in missing]
    problems += [f"{name}: in {path}, not in {solution}" for name in unknown]
    if problems:
        title = f"{path} and {solution} are not about the same images:"
        raise InputError(list_problems(title, problems, limit=_SHOWN))
    targets = np.stack(list(true.values()))
    if np.isnan(targets).any() or not np.isin(targets, (0, 1)).all():
        raise InputError(f"{solution}: expected 0 or 1 for every image and class.")
    probability = np.stack([said[name] for name in true])
    if np.isnan(probability).any():
        count = int(np.isnan(probability).any(axis=1).sum())
        raise InputError(f"{path}: {count} images lack a row for one of {', '.join(classes)}.")
    truth = targets.astype(np.uint8)

    def score(one: NDArray[np.float64]) -> float:
        return label_score(metric, truth, one, exclusive=exclusive, class_weights=class_weights)

    frequency = np.broadcast_to(truth.mean(axis=0), truth.shape)
    counts = {name: int(n) for name, n in zip(classes, truth.sum(axis=0), strict=True)}
    return LabelScores(metric, score(probability), score(np.array(frequency)), len(truth), counts)


def _read(path: Path, layout: Layout, classes: Sequence[str]) -> dict[str, NDArray[np.float64]]:
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
        title = f"{path} cannot be scored:"
        raise InputError(list_problems(title, problems, "Mend the file.", limit=_SHOWN))
    if not found:
        raise InputError(f"{path} holds no rows.")
    return found
