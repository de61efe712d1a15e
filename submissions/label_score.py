"""The score of a submission of classes against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_measures import reported_score
from goldfold.errors import InputError, list_problems
from goldfold.submissions.label_file import read_label_file, require_every_class
from goldfold.submissions.layout import Layout

_SHOWN = 10


@dataclass(frozen=True)
class LabelScores:
    """The score of a submission of classes.

    Attributes:
        metric: name of the metric; higher is better.
        score: score of the submission.
        constant: score of predicting each class's frequency for every image; NaN where the metric
            is not defined for it.
        images: number of images that were scored.
        classes: class name -> number of images of that class.
    """

    metric: str
    score: float
    constant: float
    images: int
    classes: dict[str, int]

    @property
    def warnings(self) -> list[str]:
        """What is to be known of the files: nothing, as both have the same images."""
        return []

    def to_json(self) -> dict[str, Any]:
        """Return the score as JSON values; a constant without meaning is None."""
        return asdict(self) | {"constant": None if isnan(self.constant) else self.constant}


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
        layout: layout of both files.
        classes: names of the C classes.
        exclusive: whether each image has exactly one class.
        metric: name of a metric of classes.
        class_weights: (C,) weights of the classes in the logarithmic loss.

    Raises:
        InputError: a file is malformed, or the files differ in their images or classes.
    """
    submitted, true = (read_label_file(file, layout, classes) for file in (path, solution))
    missing = [name for name in true if name not in submitted]
    unknown = [name for name in submitted if name not in true]
    problems = [f"{name}: in {solution}, not in {path}" for name in missing]
    problems += [f"{name}: in {path}, not in {solution}" for name in unknown]
    if problems:
        title = f"{path} and {solution} do not have the same images:"
        raise InputError(list_problems(title, problems, limit=_SHOWN))
    targets = np.stack(list(true.values()))
    if np.isnan(targets).any() or not np.isin(targets, (0, 1)).all():
        raise InputError(f"{solution}: expected 0 or 1 for every image and class.")
    if exclusive and (wrong := [n for n, row in zip(true, targets, strict=True) if row.sum() != 1]):
        title = f"{solution}: expected exactly one class for every image:"
        raise InputError(list_problems(title, wrong, limit=_SHOWN))
    probability = np.stack([submitted[name] for name in true])
    require_every_class(path, probability, classes)
    truth = targets.astype(np.uint8)

    def score(values: NDArray[np.float64]) -> float:
        return reported_score(
            metric, truth, values, exclusive=exclusive, class_weights=class_weights
        )

    frequency = np.broadcast_to(truth.mean(axis=0), truth.shape)
    counts = {name: int(n) for name, n in zip(classes, truth.sum(axis=0), strict=True)}
    return LabelScores(metric, score(probability), score(np.array(frequency)), len(truth), counts)
