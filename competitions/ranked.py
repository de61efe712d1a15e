"""Measures of the order in which probabilities put images, under any weights of the images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Ranked:
    """Images sorted by probability, for evaluating measures with many image weights."""

    def __init__(self, truth: Flags, probability: FloatArray) -> None:
        """Sort once.

        Args:
            truth: (N,).
            probability: (N,).
        """
        self._truth = truth.astype(float)
        values, self._place = np.unique(probability, return_inverse=True)
        self._count = len(values)

    def _totals(self, weights: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        """Return the weight of positive and of all images at each probability, ascending."""
        weight = np.ones(len(self._truth)) if weights is None else weights
        totals = [
            np.bincount(self._place, weights=values, minlength=self._count).astype(np.float64)
            for values in (weight * self._truth, weight)
        ]
        return totals[0], totals[1]

    def auroc(self, weights: FloatArray | None = None) -> float:
        """Return the area under the ROC curve, NaN if there are no positives or no negatives.

        It is the probability that a positive image is ranked above a negative one; ties count half.
        """
        positive, everything = self._totals(weights)
        negative = everything - positive
        pairs = positive.sum() * negative.sum()
        if pairs == 0:
            return float("nan")
        below = np.cumsum(negative) - negative
        return float((positive * (below + negative / 2)).sum() / pairs)

    def average_precision(self, weights: FloatArray | None = None) -> float:
        """Return the area under the stepwise precision-recall curve; NaN without positives."""
        positive, everything = (totals[::-1] for totals in self._totals(weights))
        if positive.sum() == 0:
            return float("nan")
        precision = np.cumsum(positive) / np.maximum(np.cumsum(everything), 1e-300)
        return float((precision * positive).sum() / positive.sum())


def auroc(truth: Flags, probability: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the area under the ROC curve: `Ranked.auroc`.

    >>> auroc(np.array([True, False, True]), np.array([0.9, 0.5, 0.5]))
    0.75
    """
    return Ranked(truth, probability).auroc(weights)


def average_precision(
    truth: Flags, probability: FloatArray, weights: FloatArray | None = None
) -> float:
    """Return the area under the precision-recall curve: `Ranked.average_precision`."""
    return Ranked(truth, probability).average_precision(weights)
