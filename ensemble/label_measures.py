"""Measures of classes, with intervals: confusion, precision, recall, AUROC and the like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.label_metric import Ranked, confusion_counts, scored_classes
from goldfold.ensemble.honest import INTERVAL_LEVEL
from goldfold.ensemble.labels import FloatArray, IntArray, Truth, honest_score

RATIOS = ("accuracy", "precision", "recall", "f1", "auroc", "average_precision")
"""Measures of a class that are shares."""


class Measured:
    """Predicted and true classes of images, for the usual measures under many weightings."""

    def __init__(self, truth: Truth, probability: FloatArray, predicted: NDArray[np.bool_]) -> None:
        """Sort the images once for each class.

        Args:
            truth: of N images.
            probability: (N, C).
            predicted: (N, C).
        """
        self._truth, self._predicted = truth, predicted
        self.places = scored_classes(len(truth.classes), truth.exclusive)
        self._ranked = [
            Ranked(truth.targets[:, place] > 0, probability[:, place]) for place in self.places
        ]

    def measures(self, weights: FloatArray | None = None) -> list[dict[str, float | str]]:
        """Return the measures of each scored class; those without meaning are NaN.

        Args:
            weights: (N,) of the images.
        """
        counts = confusion_counts(self._truth.targets > 0, self._predicted, weights)
        found: list[dict[str, float | str]] = []
        for place, ranked in zip(self.places, self._ranked, strict=True):
            both, only_predicted, only_true, neither = counts[place]
            found.append(
                {
                    "class": self._truth.classes[place],
                    "images": both + only_true,
                    "true_positive": both,
                    "false_positive": only_predicted,
                    "false_negative": only_true,
                    "true_negative": neither,
                    "accuracy": (both + neither) / counts[place].sum(),
                    "precision": _ratio(both, both + only_predicted),
                    "recall": _ratio(both, both + only_true),
                    "f1": _ratio(2 * both, 2 * both + only_predicted + only_true),
                    "auroc": ranked.auroc(weights),
                    "average_precision": ranked.average_precision(weights),
                }
            )
        return found


def measures_of_classes(
    truth: Truth, probability: FloatArray, predicted: NDArray[np.bool_]
) -> list[dict[str, float | str]]:
    """Return the measures of each scored class, as `Measured` has them."""
    return Measured(truth, probability, predicted).measures()


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below else float("nan")


@dataclass(frozen=True)
class Bounds:
    """Bootstrap intervals of the honest score, and of each class's `RATIOS`.

    Attributes:
        score: low and high.
        measures: by class and measure, low and high; NaN where it never had a meaning.
    """

    score: tuple[float, float]
    measures: dict[str, dict[str, tuple[float, float]]]


def bootstrap_labels(
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
    measured = Measured(truth, probability, predicted)
    names = [truth.classes[place] for place in measured.places]
    ratios = np.full((samples, len(names), len(RATIOS)), np.nan)
    for sample in range(samples):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        weights = times[groups].astype(float)
        if not weights.any():
            continue
        scores[sample] = honest_score(truth, probability, predicted, weights)
        for place, one in enumerate(measured.measures(weights)):
            ratios[sample, place] = [one[name] for name in RATIOS]
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
