"""Scores and measures of classes as they are reported: scikit-learn's.

`competitions/class_metric.py` computes the same numbers under weights and without ties broken by
rounding, for searches, resampling and the ranking of checkpoints. Importing this module imports
scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from goldfold.competitions.class_metric import CLIP, decide
from goldfold.competitions.class_metric_table import ClassAnswers
from goldfold.competitions.own_metric import own_class_score, takes_labels
from goldfold.metric_names import parse_metric, require_metric
from goldfold.own_code import is_reference
from goldfold.vocabulary import ClassMetric, names_of

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]

NAN = float("nan")


def reported_score(
    metric: str,
    targets: NDArray[np.uint8],
    probability: FloatArray,
    *,
    exclusive: bool,
    class_weights: Sequence[float] | None = None,
    thresholds: Sequence[float] | None = None,
) -> float:
    """Return the score of a set of images; higher is better, NaN where it has no meaning.

    Args:
        metric: name of a metric of classes, or a bound `module:object`.
        targets: (N, C) of 0 and 1; where classes are exclusive, one 1 in each row.
        probability: (N, C), 0 to 1.
        exclusive: one class an image; of two, the second is the positive one.
        class_weights: (C,) of metrics that are means over classes.
        thresholds: (C,) of metrics of labels, as in `class_metric.decide`.

    Raises:
        InputError: there is no such metric, or one of the user's own fails.

    Source: scikit-learn, sklearn.metrics; for `pf-beta` see `class_metric_table`.
    """
    predicted = decide(probability, exclusive, thresholds)
    if is_reference(metric):
        said = predicted.astype(np.uint8) if takes_labels(metric) else probability
        return own_class_score(metric, targets, said)
    name = require_metric(metric, names_of(ClassMetric)).name
    weights = np.ones(targets.shape[1]) if class_weights is None else np.array(class_weights, float)
    certain = thresholds is not None
    return REPORTED[name](
        ClassAnswers(
            parse_metric(metric), targets, probability, predicted, certain, exclusive, weights
        )
    )


def _accuracy(of: ClassAnswers) -> float:
    # Exclusive: images whose classes are all right. Otherwise: classes of all images.
    shape = of.targets.shape if of.exclusive else (-1,)
    said = of.predicted.astype(np.uint8)
    return float(metrics.accuracy_score(of.targets.reshape(shape), said.reshape(shape)))


def _balanced_accuracy(of: ClassAnswers) -> float:
    if of.exclusive:
        places = range(of.targets.shape[1])
        recalls = [
            metrics.recall_score(of.targets[:, c], of.predicted[:, c], zero_division=np.nan)
            for c in places
        ]
        return _mean(recalls, of.class_weights)
    accuracies = [
        np.nanmean(
            [
                metrics.recall_score(
                    of.targets[:, c], of.predicted[:, c], pos_label=label, zero_division=np.nan
                )
                for label in (0, 1)
            ]
        )
        for c in range(of.targets.shape[1])
    ]
    return _mean(accuracies, of.class_weights)


def _f1_of(of: ClassAnswers, places: Sequence[int]) -> float:
    scores = [
        metrics.f1_score(of.targets[:, c], of.predicted[:, c], zero_division=0) for c in places
    ]
    return _mean(scores, of.class_weights[list(places)])


def _micro_f1(of: ClassAnswers) -> float:
    said = of.predicted.astype(np.uint8)
    return float(metrics.f1_score(of.targets.ravel(), said.ravel(), zero_division=0))


def _pf_beta(of: ClassAnswers) -> float:
    square = of.call.number("beta") ** 2
    scores = []
    for place in of.places:
        said = of.graded[:, place]
        right, true = float(said[of.targets[:, place] > 0].sum()), int(of.targets[:, place].sum())
        below = square * true + float(said.sum())
        scores.append((1 + square) * right / below if below > 0 else 0.0)
    return _mean(scores, of.class_weights[of.places])


def _auroc_of(of: ClassAnswers) -> float:
    areas = [_auroc(of.targets[:, c], of.probability[:, c]) for c in of.places]
    return _mean(areas, of.class_weights[of.places])


def _weighted_auroc(of: ClassAnswers) -> float:
    areas = [_auroc(of.targets[:, c], of.probability[:, c]) for c in of.places]
    return _mean(areas, of.targets[:, of.places].sum(axis=0).astype(float))


def _mean_average_precision(of: ClassAnswers) -> float:
    scores = [
        metrics.average_precision_score(of.targets[:, c], of.probability[:, c])
        if of.targets[:, c].any()
        else NAN
        for c in of.places
    ]
    return _mean(scores, of.class_weights[of.places])


def _mean(values: Sequence[float], weights: FloatArray) -> float:
    """Return the weighted mean of the values that have a meaning."""
    numbers = np.array(values)
    known = ~np.isnan(numbers)
    if not weights[known].sum() > 0:
        return NAN
    return float(np.average(numbers[known], weights=weights[known]))


REPORTED: Mapping[str, Callable[[ClassAnswers], float]] = MappingProxyType(
    {
        "accuracy": _accuracy,
        "balanced-accuracy": _balanced_accuracy,
        "f1": lambda of: _f1_of(of, of.places),
        "macro-f1": lambda of: _f1_of(of, range(of.targets.shape[1])),
        "micro-f1": _micro_f1,
        "pf-beta": _pf_beta,
        "auroc": _auroc_of,
        "weighted-auroc": _weighted_auroc,
        "mean-average-precision": _mean_average_precision,
        "neg-log-loss": lambda of: (
            -_log_loss(of.targets, of.probability, of.exclusive, of.class_weights.tolist())
        ),
    }
)
"""By name."""


def class_measures(truth: Flags, probability: FloatArray, predicted: Flags) -> dict[str, float]:
    """Return the usual measures of one class; those without meaning are NaN.

    Args:
        truth: (N,).
        probability: (N,).
        predicted: (N,).

    Source: scikit-learn, sklearn.metrics.
    """
    table = metrics.confusion_matrix(truth, predicted, labels=[False, True])
    (neither, only_predicted), (only_true, both) = table.astype(float).tolist()
    return {
        "images": both + only_true,
        "true_positive": both,
        "false_positive": only_predicted,
        "false_negative": only_true,
        "true_negative": neither,
        "accuracy": float(metrics.accuracy_score(truth, predicted)),
        "precision": float(metrics.precision_score(truth, predicted, zero_division=np.nan)),
        "recall": float(metrics.recall_score(truth, predicted, zero_division=np.nan)),
        "f1": float(metrics.f1_score(truth, predicted, zero_division=np.nan)),
        "auroc": _auroc(truth, probability),
        "average_precision": (
            float(metrics.average_precision_score(truth, probability)) if truth.any() else NAN
        ),
    }


def _auroc(truth: NDArray[np.generic], probability: FloatArray) -> float:
    """Return the area under the ROC curve, NaN where one of the two classes is missing."""
    if truth.min() == truth.max():
        return NAN
    return float(metrics.roc_auc_score(truth, probability))


def _log_loss(
    targets: NDArray[np.uint8],
    probability: FloatArray,
    exclusive: bool,
    class_weights: Sequence[float] | None,
) -> float:
    held = np.clip(probability, CLIP, 1 - CLIP)
    if exclusive:  # as a binary loss, because rows that are held no longer sum to one
        of_true = held[targets > 0]
        return float(metrics.log_loss(np.ones(len(of_true)), of_true, labels=[0, 1]))
    losses = [
        metrics.log_loss(targets[:, c], held[:, c], labels=[0, 1]) for c in range(targets.shape[1])
    ]
    return float(np.average(losses, weights=class_weights))
