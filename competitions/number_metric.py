"""Scores of grades and of numbers: kappa, accuracies, F1, absolute and squared errors.

Errors count as minus the error, so that higher is better for every metric. `number_score` takes
weights of the images and serves searches and resampling; `reported_number_score` is scikit-learn's,
and what is reported. Importing this module does not import scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from math import lcm

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.own_metric import own_number_score
from goldfold.errors import InputError, did_you_mean
from goldfold.own_code import is_reference
from goldfold.vocabulary import GradeMetric, NumberMetric, names_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

KAPPA = "quadratic-weighted-kappa"
BALANCED = "balanced-accuracy"
MACRO_F1 = "macro-f1"
METRICS = tuple(dict.fromkeys((*names_of(GradeMetric), *names_of(NumberMetric))))
_LARGEST_COST = 1 << 40
"""Costs above it are rounded, so that their sums over images stay whole numbers."""


def grade_costs(metric: str, counts: IntArray) -> IntArray:
    """Return what it costs to predict a grade in place of the true one, int64 (true, predicted).

    Args:
        metric: of a metric of grades that is a sum over images (`macro-f1` is none).
        counts: (C,) images of each true grade.

    >>> grade_costs("quadratic-weighted-kappa", np.array([1, 1, 1])).tolist()
    [[0, 1, 4], [1, 0, 1], [4, 1, 0]]
    >>> grade_costs("balanced-accuracy", np.array([1, 2])).tolist()
    [[0, 2], [1, 0]]
    """
    grades = len(counts)
    apart = np.abs(np.subtract.outer(np.arange(grades), np.arange(grades))).astype(np.int64)
    if metric in (KAPPA, "rmse"):
        return apart**2
    if metric == "mae":
        return apart
    wrong = (apart > 0).astype(np.int64)
    if metric != BALANCED:
        return wrong
    common = min(lcm(*(int(count) for count in counts if count)), _LARGEST_COST)
    shares = [round(common / int(count)) if count else 0 for count in counts]
    return wrong * np.array(shares, np.int64)[:, None]


def number_score(
    metric: str,
    truth: FloatArray,
    predicted: FloatArray,
    weights: FloatArray | None = None,
    *,
    grades: int = 0,
) -> float:
    """Return the score of a set of images; higher is better.

    Args:
        metric: one of `GradeMetric` or `NumberMetric`, or a bound `module:object`.
        truth: (N,) true numbers; whole numbers from 0 where they are grades.
        predicted: (N,) in the same units.
        weights: (N,) weights of the images; whole numbers for a metric of your own.
        grades: how many there are, all of which count in `macro-f1`; 0 for those that occur.

    Raises:
        InputError: there is no such metric, or one of the user's own fails.
    """
    if is_reference(metric):
        return own_number_score(metric, truth, predicted, weights)
    if metric not in METRICS:
        hint = did_you_mean(metric, METRICS)
        raise InputError(f"unknown metric {metric!r}; there are {', '.join(METRICS)}.{hint}")
    if metric == KAPPA:
        return quadratic_weighted_kappa(truth, predicted, weights)
    if metric in (BALANCED, MACRO_F1):
        return _mean_over_grades(metric, truth, predicted, weights, grades)
    gap = np.asarray(predicted, np.float64) - truth
    if metric == "accuracy":
        return float(np.average(gap == 0, weights=weights))
    if metric == "mae":
        return -float(np.average(np.abs(gap), weights=weights))
    return -float(np.sqrt(np.average(gap**2, weights=weights)))


def _mean_over_grades(
    metric: str,
    truth: FloatArray,
    predicted: FloatArray,
    weights: FloatArray | None,
    grades: int,
) -> float:
    """Return the mean recall of the true grades, or the mean F1 of all grades."""
    true, said = (np.rint(values).astype(np.int64) for values in (truth, predicted))
    weight = np.ones(len(true)) if weights is None else weights
    count = max(grades, int(true.max()) + 1, int(said.max()) + 1)
    both, of_true, of_said = (
        np.bincount(of, weights=value, minlength=count)
        for of, value in ((true, weight * (true == said)), (true, weight), (said, weight))
    )
    below = of_true if metric == BALANCED else (of_true + of_said) / 2
    shares = np.divide(both, below, out=np.zeros(count), where=below > 0)
    counted = of_true > 0 if metric == BALANCED else (below > 0) | (np.arange(count) < grades)
    return float(shares[counted].mean())


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


def reported_number_score(
    metric: str, truth: FloatArray, predicted: FloatArray, grades: int = 0
) -> float:
    """Return the score of a set of images as it is reported; higher is better.

    Args:
        metric: as in `number_score`.
        truth: (N,).
        predicted: (N,).
        grades: as in `number_score`.

    Raises:
        InputError: a metric of the user's own fails.

    Source: scikit-learn, sklearn.metrics.
    """
    from sklearn import metrics

    if is_reference(metric):
        return own_number_score(metric, truth, predicted)
    if metric in names_of(NumberMetric):
        error = float(metrics.mean_absolute_error(truth, predicted))
        if metric == "rmse":
            error = float(np.sqrt(metrics.mean_squared_error(truth, predicted)))
        return -error
    true, said = (np.rint(values).astype(np.int64) for values in (truth, predicted))
    kinds = np.unique(np.concatenate([true, said]))
    if metric == KAPPA and kinds.size < 2:  # scikit-learn divides by zero
        return 0.0
    scores: dict[str, Callable[[], float]] = {
        KAPPA: lambda: metrics.cohen_kappa_score(
            true, said, labels=np.arange(int(kinds.max()) + 1), weights="quadratic"
        ),
        BALANCED: lambda: metrics.recall_score(
            true, said, labels=np.unique(true), average="macro"
        ),
        MACRO_F1: lambda: metrics.f1_score(
            true, said, labels=np.union1d(kinds, np.arange(grades)), average="macro",
            zero_division=0,
        ),
        "accuracy": lambda: metrics.accuracy_score(truth, predicted),
    }  # fmt: skip
    return float(scores[metric]())


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


def best_constant(metric: str, truth: FloatArray, grades: int = 0) -> float:
    """Return the number that scores best if every image gets the same one.

    The lower median for the absolute error, the mean (of grades the nearest one) for the squared
    one, the most frequent grade for other metrics; with a metric of the user's own the best of the
    median, the mean, and all grades.

    Args:
        metric: as in `number_score`.
        truth: (N,).
        grades: how many there are, 0 for numbers.
    """
    median = float(np.sort(truth)[(len(truth) - 1) // 2])
    mean = float(np.rint(truth.mean())) if grades else float(truth.mean())
    if metric == "rmse":
        return mean
    if metric == "mae":
        return median
    if is_reference(metric):
        tried = [median, mean, *map(float, range(grades))]
        scores = [number_score(metric, truth, np.full(len(truth), guess)) for guess in tried]
        return tried[int(np.argmax(np.nan_to_num(scores, nan=-np.inf)))]
    values, counts = np.unique(truth, return_counts=True)
    return float(values[counts.argmax()])
