"""Scores of class probabilities: accuracy, F1, AUROC, average precision, logarithmic loss.

All take weights of the images, so that a bootstrap draws by counting instead of copying.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.own_metric import own_label_score
from goldfold.errors import InputError, did_you_mean
from goldfold.own_code import is_reference
from goldfold.vocabulary import ClassMetric, names_of

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]

CLIP = 1e-6
"""Probabilities are held this far from 0 and 1 in logarithms, as they are in submissions."""
HALF = 0.5


def label_score(
    metric: str,
    targets: NDArray[np.uint8],
    probability: FloatArray,
    *,
    exclusive: bool,
    class_weights: Sequence[float] | None = None,
    thresholds: Sequence[float] | None = None,
    weights: FloatArray | None = None,
) -> float:
    """Return the score of a set of images; higher is better, whatever the metric.

    Args:
        metric: one of `goldfold.vocabulary.ClassMetric`, or a bound `module:object`, which sees
            probabilities and no thresholds.
        targets: (N, C) of 0 and 1.
        probability: (N, C), 0 to 1.
        exclusive: one class an image; of two, the second is the positive one.
        class_weights: (C,) of the logarithmic loss.
        thresholds: (C,) of accuracy and F1, 1/2 unless given; with more than two exclusive classes
            the most likely one counts.
        weights: (N,) of the images; for a metric of the user's own whole numbers.

    Raises:
        InputError: there is no such metric, or one of the user's own fails.
    """
    if is_reference(metric):
        return own_label_score(metric, targets, probability, weights)
    if metric not in names_of(ClassMetric):
        names = names_of(ClassMetric)
        hint = did_you_mean(metric, names)
        raise InputError(f"unknown metric {metric!r}; there are {', '.join(names)}.{hint}")
    if metric == "neg-log-loss":
        return -log_loss(targets, probability, exclusive, class_weights, weights)
    if metric == "auroc":
        classes = scored_classes(targets.shape[1], exclusive)
        found = [auroc(targets[:, c] > 0, probability[:, c], weights) for c in classes]
        known = [one for one in found if not np.isnan(one)]
        return float(np.mean(known)) if known else float("nan")
    predicted = decide(probability, exclusive, thresholds)
    if metric == "accuracy":
        return accuracy(targets, predicted, exclusive, weights)
    return f1(targets, predicted, exclusive, weights)


def scored_classes(count: int, exclusive: bool) -> list[int]:
    """Return the classes that are scored one by one: of two exclusive ones, only the second.

    >>> scored_classes(2, exclusive=True), scored_classes(3, exclusive=True)
    ([1], [0, 1, 2])
    """
    return [1] if exclusive and count == 2 else list(range(count))


def decide(
    probability: FloatArray, exclusive: bool, thresholds: Sequence[float] | None = None
) -> Flags:
    """Return which classes are predicted, bool (N, C).

    This is the only place where probabilities of classes meet thresholds. Both are compared in
    float64: in float32 a threshold could round to a probability beside it.

    Args:
        probability: (N, C), any floating dtype.
        exclusive: exactly one class an image.
        thresholds: (C,); a probability of at least its threshold is a yes.
    """
    probability = np.asarray(probability, np.float64)
    limits = np.full(probability.shape[1], HALF)
    if thresholds is not None:
        limits = np.asarray(thresholds, np.float64)
    if not exclusive:
        above: Flags = probability >= limits
        return above
    if probability.shape[1] == 2:
        second = probability[:, 1] >= limits[1]
        return np.column_stack([~second, second])
    best = probability.argmax(axis=1)
    flags: Flags = np.arange(probability.shape[1]) == best[:, None]
    return flags


def accuracy(
    targets: NDArray[np.uint8], predicted: Flags, exclusive: bool, weights: FloatArray | None = None
) -> float:
    """Return the share of images that are right; not exclusive: of all classes of all images."""
    return float(np.average(right_images(targets, predicted, exclusive), weights=weights))


def right_images(targets: NDArray[np.uint8], predicted: Flags, exclusive: bool) -> FloatArray:
    """Return how far each image is right, (N,): 0 or 1, or the share of its right classes."""
    right = (targets > 0) == predicted
    return np.asarray(right.all(axis=1) if exclusive else right.mean(axis=1), float)


def f1(
    targets: NDArray[np.uint8], predicted: Flags, exclusive: bool, weights: FloatArray | None = None
) -> float:
    """Return F1 of the positive class of two, or the mean over classes; 0 where it has no meaning.

    Args:
        targets: (N, C).
        predicted: (N, C).
        exclusive: whether one class an image.
        weights: (N,) of the images.
    """
    counts = confusion_counts(targets > 0, predicted, weights)
    found = []
    for one in scored_classes(targets.shape[1], exclusive):
        both, only_predicted, only_true, _ = counts[one]
        total = 2 * both + only_predicted + only_true
        found.append(2 * both / total if total else 0.0)
    return float(np.mean(found))


def confusion_counts(
    truth: Flags, predicted: Flags, weights: FloatArray | None = None
) -> FloatArray:
    """Return for each class true positives, false positives, false negatives, true negatives.

    Args:
        truth: (N, C).
        predicted: (N, C).
        weights: (N,) of the images.

    Returns:
        (C, 4), weighted counts.
    """
    weight = np.ones(len(truth)) if weights is None else weights
    cells = (truth & predicted, ~truth & predicted, truth & ~predicted, ~truth & ~predicted)
    return np.column_stack([weight @ cell for cell in cells])


def log_loss(
    targets: NDArray[np.uint8],
    probability: FloatArray,
    exclusive: bool,
    class_weights: Sequence[float] | None = None,
    weights: FloatArray | None = None,
) -> float:
    """Return the mean logarithmic loss; lower is better.

    Exclusive: minus the logarithm of the true class's probability. Otherwise the mean over classes,
    weighted, of the binary loss.

    Args:
        targets: (N, C).
        probability: (N, C); held within `CLIP` and 1 - `CLIP`.
        exclusive: whether one class an image.
        class_weights: (C,), where classes are not exclusive.
        weights: (N,) of the images.

    Source: RSNA Intracranial Hemorrhage Detection, evaluation page (2019): `any` counts double.
    """
    losses = log_losses(targets, probability, exclusive, class_weights)
    return float(np.average(losses, weights=weights))


def log_losses(
    targets: NDArray[np.uint8],
    probability: FloatArray,
    exclusive: bool,
    class_weights: Sequence[float] | None = None,
) -> FloatArray:
    """Return the logarithmic loss of each image, (N,), whose mean is `log_loss`."""
    p = np.clip(probability, CLIP, 1 - CLIP)
    scale = np.ones(p.shape[1]) if class_weights is None else np.asarray(class_weights, float)
    if exclusive:
        return np.asarray(-(targets * np.log(p)).sum(axis=1), float)
    binary = -np.where(targets > 0, np.log(p), np.log1p(-p))
    return np.asarray(binary @ scale / scale.sum(), float)


class Ranked:
    """Images in the order of their probabilities, for measures under many weightings."""

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
        """Return the weight of the positive and of all images at each probability, rising."""
        weight = np.ones(len(self._truth)) if weights is None else weights
        totals = [
            np.bincount(self._place, weights=one, minlength=self._count).astype(np.float64)
            for one in (weight * self._truth, weight)
        ]
        return totals[0], totals[1]

    def auroc(self, weights: FloatArray | None = None) -> float:
        """Return the area under the ROC curve, NaN where one of the two classes is missing.

        It is the chance that a positive image has a higher probability than a negative one; ties
        count half.
        """
        positive, everything = self._totals(weights)
        negative = everything - positive
        pairs = positive.sum() * negative.sum()
        if pairs == 0:
            return float("nan")
        below = np.cumsum(negative) - negative
        return float((positive * (below + negative / 2)).sum() / pairs)

    def average_precision(self, weights: FloatArray | None = None) -> float:
        """Return the area under the precision-recall curve, as steps; NaN without positives."""
        positive, everything = (one[::-1] for one in self._totals(weights))
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


def class_weight_list(classes: Sequence[str], weights: Mapping[str, float]) -> list[float]:
    """Return the weight of each class, 1 where none is given."""
    return [float(weights.get(name, 1.0)) for name in classes]
