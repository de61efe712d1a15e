"""Measures of classes, with intervals: confusion, precision, recall, AUROC and the like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_measures import class_measures
from goldfold.competitions.class_metric import confusion_counts, scored_classes
from goldfold.competitions.ranked import Ranked
from goldfold.ensemble.class_blend import FloatArray, IntArray, resampled_scorer
from goldfold.ensemble.class_truth import Truth
from goldfold.ensemble.intervals import INTERVAL_LEVEL

RATIOS = ("accuracy", "precision", "recall", "f1", "auroc", "average_precision")
"""Measures of a class that are shares."""


def measures_of_classes(
    truth: Truth, probability: FloatArray, predicted: NDArray[np.bool_]
) -> list[dict[str, float | str]]:
    """Return the measures of each scored class, scikit-learn's; those without meaning are NaN.

    Args:
        truth: of N images.
        probability: (N, C).
        predicted: (N, C).
    """
    flags = truth.targets > 0
    return [
        {
            "class": truth.classes[c],
            **class_measures(flags[:, c], probability[:, c], predicted[:, c]),
        }
        for c in scored_classes(len(truth.classes), truth.exclusive)
    ]


class ResampledRatios:
    """The `RATIOS` of each scored class under many weightings of the images.

    scikit-learn sorts the images and checks its input anew for each drawing: 12 ms for one class of
    5,856 images, here 0.3 ms (`benchmarks/class_measures.py`).

    Attributes:
        places: the P scored classes.
    """

    def __init__(self, truth: Truth, probability: FloatArray, predicted: NDArray[np.bool_]) -> None:
        """Sort the images once for each class.

        Args:
            truth: of N images.
            probability: (N, C).
            predicted: (N, C).
        """
        self._flags, self._predicted = truth.targets > 0, predicted
        self.places = scored_classes(len(truth.classes), truth.exclusive)
        self._ranked = [Ranked(self._flags[:, c], probability[:, c]) for c in self.places]

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Return the ratios, (P, 6), NaN where one has no meaning.

        Args:
            weights: (N,) of the images.
        """
        counts = confusion_counts(self._flags, self._predicted, weights)[self.places]
        both, only_predicted, only_true, neither = counts.T
        areas = [
            (ranked.auroc(weights), ranked.average_precision(weights)) for ranked in self._ranked
        ]
        ratios = [
            _ratio(both + neither, counts.sum(axis=1)),
            _ratio(both, both + only_predicted),
            _ratio(both, both + only_true),
            _ratio(2 * both, 2 * both + only_predicted + only_true),
        ]
        return np.column_stack([*ratios, np.array(areas)])


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    ratio: FloatArray = np.full(len(below), np.nan)
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio


@dataclass(frozen=True)
class Bounds:
    """Bootstrap intervals of the honest score, and of each class's `RATIOS`.

    Attributes:
        score: low and high.
        measures: by class and measure, low and high; NaN where it never had a meaning.
    """

    score: tuple[float, float]
    measures: dict[str, dict[str, tuple[float, float]]]


def bootstrap_classes(
    truth: Truth,
    probability: FloatArray,
    predicted: NDArray[np.bool_],
    groups: IntArray,
    *,
    samples: int,
    seed: int,
    level: float = INTERVAL_LEVEL,
) -> Bounds:
    """Return what comes of the honest score and the measures when whole groups are drawn again.

    Args:
        truth: of N images.
        probability: (N, C).
        predicted: (N, C).
        groups: (N,) group numbers from 0.
        samples: resamplings.
        seed: of the drawing.
        level: share of the resampled scores inside.
    """
    rng = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    scores = np.full(samples, np.nan)
    score = resampled_scorer(truth, probability, predicted)
    measured = ResampledRatios(truth, probability, predicted)
    names = [truth.classes[place] for place in measured.places]
    ratios = np.full((samples, len(names), len(RATIOS)), np.nan)
    for sample in range(samples):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        weights = times[groups].astype(float)
        if not weights.any():
            continue
        scores[sample] = score(weights)
        ratios[sample] = measured(weights)
    return Bounds(
        known_bounds(scores, level),
        {
            name: {
                measure: known_bounds(ratios[:, place, number], level)
                for number, measure in enumerate(RATIOS)
            }
            for place, name in enumerate(names)
        },
    )


def known_bounds(values: FloatArray, level: float) -> tuple[float, float]:
    """Return the interval that holds a share `level` of those values that have a meaning."""
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
