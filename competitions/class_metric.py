"""What class probabilities say of images, and its counts, shares and losses.

All accept image weights, so that a bootstrap sample can be counts instead of copies. The metrics
that are made of these are in `goldfold.competitions.class_metric_table`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]

CLIP = 1e-6
"""Probabilities are clipped to this distance from 0 and 1 before taking logarithms."""
HALF = 0.5


def scored_classes(count: int, exclusive: bool) -> list[int]:
    """Return the indices of the classes that are scored: of two exclusive ones, only the second.

    >>> scored_classes(2, exclusive=True), scored_classes(3, exclusive=True)
    ([1], [0, 1, 2])
    """
    return [1] if exclusive and count == 2 else list(range(count))


def decide(
    probability: FloatArray, exclusive: bool, thresholds: Sequence[float] | None = None
) -> Flags:
    """Return which classes are predicted, bool (N, C).

    This is the only place where class probabilities are compared with thresholds. They are compared
    in float64: in float32 a threshold could be rounded to a neighbouring probability.

    Args:
        probability: (N, C), any floating dtype.
        exclusive: whether each image has exactly one class.
        thresholds: (C,); a class is predicted if its probability is at least its threshold.
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
    """Return the share of correct images; if not exclusive, of correct classes of all images."""
    return float(np.average(right_images(targets, predicted, exclusive), weights=weights))


def right_images(targets: NDArray[np.uint8], predicted: Flags, exclusive: bool) -> FloatArray:
    """Return how correct each image is, (N,): 0 or 1, or the share of its correct classes."""
    right = (targets > 0) == predicted
    return np.asarray(right.all(axis=1) if exclusive else right.mean(axis=1), float)


def f1(
    targets: NDArray[np.uint8],
    predicted: Flags,
    exclusive: bool,
    weights: FloatArray | None = None,
    class_weights: Sequence[float] | FloatArray | None = None,
) -> float:
    """Return F1 of the positive class of two, or the mean over classes; 0 where it is undefined.

    Args:
        targets: (N, C).
        predicted: (N, C).
        exclusive: whether each image has exactly one class.
        weights: (N,) weights of the images.
        class_weights: (C,).
    """
    counts = confusion_counts(targets > 0, predicted, weights)
    places = scored_classes(targets.shape[1], exclusive)
    scores = []
    for class_index in places:
        both, only_predicted, only_true, _ = counts[class_index]
        total = 2 * both + only_predicted + only_true
        scores.append(2 * both / total if total else 0.0)
    scale = None if class_weights is None else np.asarray(class_weights, float)[places]
    return float(np.average(scores, weights=scale))


def confusion_counts(
    truth: Flags, predicted: Flags, weights: FloatArray | None = None
) -> FloatArray:
    """Return true positives, false positives, false negatives and true negatives of each class.

    Args:
        truth: (N, C).
        predicted: (N, C).
        weights: (N,) weights of the images.

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

    If exclusive, it is minus the logarithm of the probability of the true class; otherwise the
    weighted mean of the binary loss over the classes.

    Args:
        targets: (N, C).
        probability: (N, C); clipped to `CLIP` and 1 - `CLIP`.
        exclusive: whether each image has exactly one class.
        class_weights: (C,), if classes are not exclusive.
        weights: (N,) weights of the images.

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
    """Return the logarithmic loss of each image, (N,); its mean is `log_loss`."""
    p = np.clip(probability, CLIP, 1 - CLIP)
    scale = np.ones(p.shape[1]) if class_weights is None else np.asarray(class_weights, float)
    if exclusive:
        return np.asarray(-(targets * np.log(p)).sum(axis=1), float)
    binary = -np.where(targets > 0, np.log(p), np.log1p(-p))
    return np.asarray(binary @ scale / scale.sum(), float)


def class_weight_list(classes: Sequence[str], weights: Mapping[str, float]) -> list[float]:
    """Return the weight of each class, 1 by default."""
    return [float(weights.get(name, 1.0)) for name in classes]
