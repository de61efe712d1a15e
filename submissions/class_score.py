"""The score of a submission of classes against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_measures import reported_score
from goldfold.errors import InputError, list_problems
from goldfold.submissions.class_file import read_class_file, require_every_class
from goldfold.submissions.layout import Layout
from goldfold.submissions.table import read_table
from goldfold.submissions.usage import images_to_score, parts_to_score, read_usage

_SHOWN = 10


@dataclass(frozen=True)
class ClassPart:
    """The score of a submission of classes on some of the images.

    Attributes:
        score: score of the submission; NaN where the metric is not defined on these images.
        constant: score of predicting each class's frequency for every image; NaN where the metric
            is not defined for it.
        images: number of images that were scored.
        classes: class name -> number of images of that class.
    """

    score: float
    constant: float
    images: int
    classes: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the score as JSON values; a number without meaning is None."""
        values = asdict(self)
        return {k: None if isinstance(v, float) and isnan(v) else v for k, v in values.items()}


@dataclass(frozen=True)
class ClassScores:
    """Scores of a submission of classes, overall and in the parts that the solution names.

    Attributes:
        metric: name of the metric; higher is better.
        parts: `overall`, and `public` and `private` if the solution has a Usage column with such
            rows.
        warnings: about ids of the submission that the solution lacks.
    """

    metric: str
    parts: dict[str, ClassPart]
    warnings: list[str] = field(default_factory=list)

    @property
    def score(self) -> float:
        """The score on all images that are not ignored."""
        return self.parts["overall"].score

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON values, those of all images first."""
        others = {name: part.to_json() for name, part in self.parts.items() if name != "overall"}
        overall = self.parts["overall"].to_json()
        return {"metric": self.metric, **overall, **others, "warnings": self.warnings}


def score_submitted_classes(
    path: Path,
    solution: Path,
    *,
    layout: Layout,
    classes: Sequence[str],
    exclusive: bool,
    metric: str,
    class_weights: Sequence[float],
    only_submitted: bool = False,
) -> ClassScores:
    """Return the score of a submission; both files have the same layout.

    Args:
        path: the submission.
        solution: the truth, 0 and 1 (or the names of the classes) in the submission's columns.
        layout: layout of both files.
        classes: names of the C classes.
        exclusive: whether each image has exactly one class.
        metric: name of a metric of classes.
        class_weights: (C,) weights of the classes in the logarithmic loss.
        only_submitted: score the images of the file only, where the solution has more.

    Raises:
        InputError: a file is malformed, or the submission lacks images or classes.
    """
    submitted, true = (read_class_file(file, layout, classes) for file in (path, solution))
    image_ids, warnings = images_to_score(
        path, solution, list(submitted), list(true), only_submitted=only_submitted
    )
    targets = np.stack([true[name] for name in image_ids])
    if np.isnan(targets).any() or not np.isin(targets, (0, 1)).all():
        raise InputError(f"{solution}: expected 0 or 1 for every image and class.")
    if exclusive and (
        wrong := [n for n, row in zip(image_ids, targets, strict=True) if row.sum() != 1]
    ):
        title = f"{solution}: expected exactly one class for every image:"
        raise InputError(list_problems(title, wrong, limit=_SHOWN))
    probability = np.stack([submitted[name] for name in image_ids])
    require_every_class(path, probability, classes)
    truth = targets.astype(np.uint8)

    table = read_table(solution)
    keys = [table.require(name) for name in layout.key_columns]
    usage = read_usage(table, keys, layout.image_of)

    def score(chosen: NDArray[np.bool_], values: NDArray[np.float64]) -> float:
        return reported_score(
            metric, truth[chosen], values, exclusive=exclusive, class_weights=class_weights
        )

    def part(chosen: NDArray[np.bool_]) -> ClassPart:
        own = truth[chosen]
        frequency = np.array(np.broadcast_to(own.mean(axis=0), own.shape))
        counts = {name: int(n) for name, n in zip(classes, own.sum(axis=0), strict=True)}
        return ClassPart(
            score(chosen, probability[chosen]), score(chosen, frequency), len(own), counts
        )

    parts = parts_to_score(image_ids, usage)
    return ClassScores(metric, {name: part(chosen) for name, chosen in parts.items()}, warnings)
