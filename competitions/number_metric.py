"""Scores of grades and of numbers: quadratic weighted kappa, accuracy, absolute and squared errors.

Errors count as minus the error, so that higher is better for every metric. `number_score` takes
weights of the images and serves searches and resampling; `reported_number_score` is scikit-learn's,
and what is reported. Importing this module does not import scikit-learn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError, did_you_mean
from goldfold.vocabulary import GradeMetric, NumberMetric, names_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

KAPPA = "quadratic-weighted-kappa"
METRICS = tuple(dict.fromkeys((*names_of(GradeMetric), *names_of(NumberMetric))))


def grade_costs(metric: str, grades: int) -> IntArray:
    """Return what it costs to predict a grade in place of the true one, int64 (true, predicted).

    >>> grade_costs("quadratic-weighted-kappa", 3).tolist()
    [[0, 1, 4], [1, 0, 1], [4, 1, 0]]
    """
    apart = np.abs(np.subtract.outer(np.arange(grades), np.arange(grades))).astype(np.int64)
    if metric == KAPPA:
        return apart**2
    return (apart > 0).astype(np.int64) if metric == "accuracy" else apart


def number_score(
    metric: str, truth: FloatArray, predicted: FloatArray, weights: FloatArray | None = None
) -> float:
    """Return the score of a set of images; higher is better.

    Args:
        metric: one of `GradeMetric` or `NumberMetric`.
        truth: (N,) true numbers; whole numbers from 0 where they are grades.
        predicted: (N,) in the same units.
        weights: (N,) weights of the images.

    Raises:
        InputError: there is no such metric.
    """
    if metric not in METRICS:
        hint = did_you_mean(metric, METRICS)
        raise InputError(f"unknown metric {metric!r}; there are {', '.join(METRICS)}.{hint}")
    if metric == KAPPA:
        return quadratic_weighted_kappa(truth, predicted, weights)
    gap = np.asarray(predicted, np.float64) - truth
    if metric == "accuracy":
        return float(np.average(gap == 0, weights=weights))
    if metric == "mae":
        return -float(np.average(np.abs(gap), weights=weights))
    return -float(np.sqrt(np.average(gap**2, weights=weights)))


def quadratic_weighted_kappa(
    truth: FloatArray, predicted: FloatArray, weights: FloatArray | None = None
) -> float:
    """Return Cohen's kappa with quadratic weights; 0 if all images have the same grade.

    It is twice the covariance over what chance would give, so a constant prediction scores 0 to
    the last bit.

    Args:
        truth: (N,) grades.
        predicted: (N,) grades.
        weights: (N,) weights of the images.

    Source: Cohen 1968, Weighted kappa.
    """
    means = [float(np.average(values, weights=weights)) for values in (truth, predicted)]
    true, said = truth - means[0], predicted - means[1]
    spread = float(np.average(true**2 + said**2, weights=weights))
    expected = spread + (means[0] - means[1]) ** 2
    return 2 * float(np.average(true * said, weights=weights)) / expected if expected > 0 else 0.0


def reported_number_score(metric: str, truth: FloatArray, predicted: FloatArray) -> float:
    """Return the score of a set of images as it is reported; higher is better.

    Args:
        metric: as in `number_score`.
        truth: (N,).
        predicted: (N,).

    Source: scikit-learn, sklearn.metrics.
    """
    from sklearn import metrics

    if metric == KAPPA:
        kinds = np.unique(np.concatenate([truth, predicted]))
        if kinds.size < 2:  # scikit-learn divides by zero
            return 0.0
        pair = (np.rint(values).astype(np.int64) for values in (truth, predicted))
        return float(
            metrics.cohen_kappa_score(
                *pair, labels=np.arange(int(kinds.max()) + 1), weights="quadratic"
            )
        )
    if metric == "accuracy":
        return float(metrics.accuracy_score(truth, predicted))
    if metric == "mae":
        return -float(metrics.mean_absolute_error(truth, predicted))
    return -float(np.sqrt(metrics.mean_squared_error(truth, predicted)))


def number_measures(truth: FloatArray, predicted: FloatArray, grades: int) -> dict[str, float]:
    """Return the usual measures of a set of images, errors as errors: lower is better.

    Args:
        truth: (N,).
        predicted: (N,).
        grades: how many there are, 0 for numbers.
    """
    errors = {name: -reported_number_score(name, truth, predicted) for name in ("mae", "rmse")}
    if not grades:
        from sklearn import metrics

        known = len(truth) > 1 and np.ptp(truth) > 0
        return {**errors, "r2": float(metrics.r2_score(truth, predicted)) if known else np.nan}
    names = (KAPPA, "accuracy")
    return {**{name: reported_number_score(name, truth, predicted) for name in names}, **errors}


def best_constant(metric: str, truth: FloatArray) -> float:
    """Return the number that scores best if every image gets the same one.

    The most frequent grade for kappa and accuracy, the lower median for the absolute error, the
    mean for the squared one.
    """
    if metric == "rmse":
        return float(truth.mean())
    if metric == "mae":
        return float(np.sort(truth)[(len(truth) - 1) // 2])
    values, counts = np.unique(truth, return_counts=True)
    return float(values[counts.argmax()])
