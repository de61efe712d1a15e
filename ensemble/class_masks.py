"""Several masks per image: each class has a blend and a rule of its own; one score is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.scores import Scores, mean_of_classes
from goldfold.ensemble.honest import Assessment, cross_fit
from goldfold.ensemble.intervals import group_interval
from goldfold.ensemble.report import FORMAT
from goldfold.folds.parts import number_groups
from goldfold.vocabulary import RuleChoice


def mean_scores(assessments: Mapping[str, Assessment]) -> Scores:
    """Return the honest score of each image, (N,): the mean over its masks; or ratios (N, C).

    Args:
        assessments: by class, of the same images in the same order.
    """
    return mean_of_classes([assessment.scores for assessment in assessments.values()])


def cross_fit_classes(
    histograms: NDArray[np.int64],
    parts: NDArray[np.int64],
    metric: str,
    *,
    classes: int = 1,
    choice: RuleChoice = "peak",
    image_ids: Sequence[str] | None = None,
) -> Scores:
    """Return the honest score of each image, (N,), each class under rules of its own.

    Where the score is a ratio of sums, it is what each image contributes to that of each class.

    Args:
        histograms: (N C, 2, 256), the masks of one image beside each other.
        parts: (N,) part of each image.
        metric: name of a metric of pixel counts.
        classes: masks of an image, C.
        choice: as in `choose_rule`.
        image_ids: as in `cross_fit`.
    """
    scores = [
        cross_fit(histograms[place::classes], parts, metric, choice=choice, image_ids=image_ids)[0]
        for place in range(classes)
    ]
    return mean_of_classes(scores)


def build_class_report(
    reports: Mapping[str, dict[str, Any]],
    assessments: Mapping[str, Assessment],
    folds: Sequence[int] | NDArray[np.int64],
    groups: Sequence[str],
    *,
    samples: int,
    seed: int,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the content of ensemble.json where an image has several masks.

    Its scores are means over classes (of means over images, or of ratios of sums over them); the
    interval is drawn over groups of images, whose masks go together. Under `classes` stands the
    report of each class, as `build_report` makes it.

    Args:
        reports: by class.
        assessments: by class, of the same images in the same order.
        folds: (N,) part of each image.
        groups: (N,) group of each image.
        samples: resamplings behind the interval.
        seed: of the resampling.
        facts: what it is made from.
    """
    scores = mean_scores(assessments)
    numbers = np.asarray(folds)
    first = next(iter(reports.values()))
    one_fold = "parts" in first["honest"]
    interval = group_interval(scores, number_groups(groups), samples=samples, seed=seed)
    parts = [
        {
            "part" if one_fold else "fold": int(fold),
            "images": int((numbers == fold).sum()),
            "score": float(scores[numbers == fold].mean()),
        }
        for fold in np.unique(numbers)
    ]
    return {
        "format": FORMAT,
        "metric": first["metric"],
        "honest": {
            "score": float(scores.mean()),
            "chosen_on": first["honest"]["chosen_on"],
            "interval": asdict(interval),
            "parts" if one_fold else "folds": parts,
        },
        "optimistic": _mean(report["optimistic"] for report in reports.values()),
        "all_empty": _mean(report["all_empty"] for report in reports.values()),
        "images": {"all": len(scores)},
        "classes": {
            name: {key: value for key, value in report.items() if key != "made_from"}
            for name, report in reports.items()
        },
        "made_from": dict(facts),
    }


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))
