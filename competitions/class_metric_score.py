"""Scores of class probabilities by any metric, and the thresholds that are best for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_metric import decide
from goldfold.competitions.class_metric_table import (
    ClassAnswers,
    Flags,
    FloatArray,
    Scorer,
    Weights,
    class_kind,
)
from goldfold.competitions.class_threshold import best_thresholds, coordinate_thresholds
from goldfold.competitions.own_metric import takes_labels
from goldfold.metric_names import parse_metric
from goldfold.own_code import is_reference


def class_scorer(
    metric: str,
    targets: NDArray[np.uint8],
    probability: FloatArray,
    *,
    exclusive: bool,
    class_weights: Sequence[float] | None = None,
    thresholds: Sequence[float] | None = None,
) -> Scorer:
    """Return what scores a set of images under weights (N,) of the images.

    Args:
        metric: one of `goldfold.vocabulary.ClassMetric`, or a bound `module:object`.
        targets: (N, C) of 0 and 1.
        probability: (N, C), 0 to 1.
        exclusive: whether each image has exactly one class; of two classes, the second is the
            positive one.
        class_weights: (C,) weights of the classes; all the same unless given.
        thresholds: (C,) thresholds of metrics of labels, 1/2 unless given; with more than two
            exclusive classes the most likely class is predicted.

    Raises:
        InputError: there is no such metric.
    """
    kind = class_kind(metric)
    weights = np.ones(targets.shape[1]) if class_weights is None else np.array(class_weights, float)
    return kind.scorer(
        ClassAnswers(
            parse_metric(metric),
            targets,
            probability,
            decide(probability, exclusive, thresholds),
            thresholds is not None,
            exclusive,
            weights,
        )
    )


def class_metric_score(
    metric: str,
    targets: NDArray[np.uint8],
    probability: FloatArray,
    *,
    exclusive: bool,
    class_weights: Sequence[float] | None = None,
    thresholds: Sequence[float] | None = None,
    weights: Weights = None,
) -> float:
    """Return the score of a set of images; higher is better, whatever the metric.

    Args:
        metric: as in `class_scorer`, like the other arguments.
        targets: (N, C) of 0 and 1.
        probability: (N, C), 0 to 1.
        exclusive: whether each image has exactly one class.
        class_weights: (C,).
        thresholds: (C,).
        weights: (N,) weights of the images; whole numbers for a metric of your own.

    Raises:
        InputError: there is no such metric, or one of the user's own fails.
    """
    scorer = class_scorer(
        metric,
        targets,
        probability,
        exclusive=exclusive,
        class_weights=class_weights,
        thresholds=thresholds,
    )
    return scorer(weights)


def image_class_scores(
    metric: str,
    targets: NDArray[np.uint8],
    probability: FloatArray,
    predicted: Flags,
    *,
    exclusive: bool,
    class_weights: Sequence[float],
) -> FloatArray | None:
    """Return the score of each image, (N,), where the metric is their mean; else None.

    Args:
        metric: as in `class_scorer`.
        targets: (N, C).
        probability: (N, C).
        predicted: (N, C).
        exclusive: whether each image has exactly one class.
        class_weights: (C,).
    """
    kind = class_kind(metric)
    if kind.of_images is None:
        return None
    weights = np.array(class_weights, float)
    call = parse_metric(metric)
    return kind.of_images(
        ClassAnswers(call, targets, probability, predicted, True, exclusive, weights)
    )


def thresholds_for(
    metric: str,
    targets: NDArray[np.uint8],
    probability: FloatArray,
    *,
    exclusive: bool,
    class_weights: Sequence[float] | None = None,
) -> list[float]:
    """Return the threshold of each class that is best on these images.

    Exact for each of goldfold's metrics (`class_threshold.best_thresholds`); for a metric of labels
    of the user's own they are searched one class after the other
    (`class_threshold.coordinate_thresholds`).

    Args:
        metric: as in `class_scorer`.
        targets: (N, C).
        probability: (N, C).
        exclusive: whether each image has exactly one class.
        class_weights: (C,).
    """
    if not is_reference(metric) or not takes_labels(metric):
        return best_thresholds(targets > 0, probability, metric, exclusive=exclusive)

    def score(thresholds: list[float]) -> float:
        return class_metric_score(
            metric,
            targets,
            probability,
            exclusive=exclusive,
            class_weights=class_weights,
            thresholds=thresholds,
        )

    return coordinate_thresholds(score, probability, exclusive=exclusive)


def best_class_score(
    metric: str,
    targets: NDArray[np.uint8],
    probability: FloatArray,
    *,
    exclusive: bool,
    class_weights: Sequence[float] | None = None,
) -> float:
    """Return the score by which checkpoints and blends are ranked.

    Metrics of labels are taken at the best thresholds on these images, accuracy and `f1` at one
    half.

    Args:
        metric: as in `class_scorer`.
        targets: (N, C).
        probability: (N, C).
        exclusive: whether each image has exactly one class.
        class_weights: (C,).
    """
    how = {"exclusive": exclusive, "class_weights": class_weights}
    thresholds = None
    if class_kind(metric).at_best:
        thresholds = thresholds_for(metric, targets, probability, **how)  # type: ignore[arg-type]
    return class_metric_score(metric, targets, probability, thresholds=thresholds, **how)  # type: ignore[arg-type]
