"""Metrics of the user's own: scores of images from counts of pixels, or of a set from classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.own_code import Role, once, running, wrong_value

FloatArray = NDArray[np.float64]

MASK_METRIC = Role(
    "competition.metric",
    "score(intersection, predicted, true)",
    "an array of numbers from 0 to 1, higher is better, of the counts' common shape",
    positional=3,
)
CLASS_METRIC = Role(
    "competition.metric",
    "score(targets, probability)",
    "one number, higher is better",
    positional=2,
)


def own_image_scores(
    metric: str, intersection: NDArray[Any], predicted: NDArray[Any], true: NDArray[Any]
) -> FloatArray:
    """Return the score of each image by a metric of the user's own, float64 of 0 to 1.

    Args:
        metric: bound reference.
        intersection: int64 pixels in both masks; all three broadcast against each other.
        predicted: int64 pixels of the predicted mask.
        true: int64 pixels of the true mask.

    Raises:
        InputError: the function fails, or returns something else.
    """
    function = once(metric, MASK_METRIC)
    counts = np.broadcast_arrays(intersection, predicted, true)
    with running(metric, MASK_METRIC):
        scores = np.asarray(function(*(count.copy() for count in counts)), np.float64)
    if scores.shape != counts[0].shape:
        returned = f"an array of shape {scores.shape} for counts of shape {counts[0].shape}"
        raise wrong_value(metric, MASK_METRIC, returned)
    bad = ~((scores >= 0) & (scores <= 1))
    if bad.any():
        place = tuple(int(n) for n in np.argwhere(bad)[0])
        both, said, there = (int(count[place]) for count in counts)
        raise wrong_value(
            metric,
            MASK_METRIC,
            f"{scores[place]:g} for intersection {both}, predicted {said}, true {there}",
        )
    return scores


def own_class_score(
    metric: str,
    targets: NDArray[np.uint8],
    probability: FloatArray,
    weights: FloatArray | None = None,
) -> float:
    """Return the score of a set of images by a metric of the user's own; NaN has no meaning there.

    Args:
        metric: bound reference.
        targets: (N, C) of 0 and 1.
        probability: (N, C).
        weights: (N,) how often each image counts, whole numbers; the images are repeated.

    Raises:
        InputError: the function fails, or returns something else.
    """
    function = once(metric, CLASS_METRIC)
    times = None if weights is None else np.rint(weights).astype(np.int64)
    seen = [
        np.array(values) if times is None else np.repeat(values, times, axis=0)
        for values in (targets, probability)
    ]
    with running(metric, CLASS_METRIC):
        score = function(*seen)
    number = np.asarray(score)
    if number.shape != () or not np.issubdtype(number.dtype, np.number) or np.isinf(number):
        raise wrong_value(metric, CLASS_METRIC, f"{score!r:.60}")
    return float(number)
