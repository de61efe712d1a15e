"""Scores and measures of classes as they are reported: scikit-learn's.

`competitions/class_metric.py` computes the same numbers under weights and without ties broken by
rounding, for searches, resampling and the ranking of checkpoints. Importing this module imports
scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from goldfold.competitions.class_metric import CLIP, decide, scored_classes

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
        metric: `accuracy`, `f1`, `auroc` or `neg-log-loss`.
        targets: (N, C) of 0 and 1; where classes are exclusive, one 1 in each row.
        probability: (N, C), 0 to 1.
        exclusive: one class an image; of two, the second is the positive one.
        class_weights: (C,) of the logarithmic loss, where classes are not exclusive.
        thresholds: (C,) of accuracy and F1, as in `class_metric.decide`.

    Source: scikit-learn, sklearn.metrics.
    """
    places = scored_classes(targets.shape[1], exclusive)
    match metric:
        case "neg-log-loss":
            return -_log_loss(targets, probability, exclusive, class_weights)
        case "auroc":
            areas = np.array([_auroc(targets[:, c], probability[:, c]) for c in places])
            return NAN if np.isnan(areas).all() else float(np.nanmean(areas))
    predicted = decide(probability, exclusive, thresholds).astype(np.uint8)
    if metric == "accuracy":
        # Exclusive: images whose classes are all right. Otherwise: classes of all images.
        shape = targets.shape if exclusive else (-1,)
        return float(metrics.accuracy_score(targets.reshape(shape), predicted.reshape(shape)))
    scores = [metrics.f1_score(targets[:, c], predicted[:, c], zero_division=0) for c in places]
    return float(np.mean(scores))


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
