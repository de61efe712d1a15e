"""Metrics of the user's own: scores of images from counts of pixels, or of a set from classes."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError
from goldfold.own_code import Role, once, running, wrong_value

FloatArray = NDArray[np.float64]

MASK_METRIC = Role(
    "competition.metric",
    "score(intersection, predicted, true)",
    "an array of numbers from 0 to 1, higher is better, of the counts' common shape",
    positional=3,
)
WHOLE_MASK_METRIC = Role(
    "competition.metric",
    "score(true, predicted)",
    "a number from 0 to 1, higher is better, for two masks uint8 (H, W) of 0 and 1",
    positional=2,
)
CLASS_METRIC = Role(
    "competition.metric",
    "score(targets, probability)",
    "one number, higher is better",
    positional=2,
)
NUMBER_METRIC = Role(
    "competition.metric",
    "score(truth, predicted)",
    "one number, higher is better",
    positional=2,
)
LABELS = "labels"
"""A second argument of this name gets what thresholds make of the probabilities."""


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


@cache
def judges_masks(metric: str) -> bool:
    """Return whether a metric of masks of the user's own looks at masks: `score(true, predicted)`.

    A function that takes three arguments gets counts of pixels.
    """
    for role, is_so in ((MASK_METRIC, False), (WHOLE_MASK_METRIC, True)):
        try:
            once(metric, role)
        except InputError:
            continue
        return is_so
    return False  # what is wrong is said where it is used


def own_mask_score(metric: str, true: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> float:
    """Return the score of an image by a metric of the user's own that looks at masks, 0 to 1.

    Args:
        metric: bound reference.
        true: (H, W) of 0 and 1.
        predicted: of the same shape.

    Raises:
        InputError: the function fails, or returns something else.
    """
    function = once(metric, WHOLE_MASK_METRIC)
    with running(metric, WHOLE_MASK_METRIC):
        score = np.asarray(function(true.copy(), predicted.copy()), np.float64)
    if score.shape != () or not 0 <= score <= 1:
        counts = f"{int(true.sum())} true and {int(predicted.sum())} predicted pixels"
        raise wrong_value(metric, WHOLE_MASK_METRIC, f"{score!s:.60} for {counts}")
    return float(score)


def takes_labels(metric: str) -> bool:
    """Return whether a metric of classes of the user's own is one of labels: `f(targets, labels)`.

    Raises:
        InputError: it cannot be loaded.
    """
    return positional_names(metric, CLASS_METRIC)[1:2] == [LABELS]


@cache
def positional_names(metric: str, role: Role) -> list[str]:
    """Return the names of the positional arguments of a function of the user's own.

    Raises:
        InputError: it cannot be loaded, or does not take the role's arguments.
    """
    try:
        parameters = inspect.signature(once(metric, role)).parameters.values()
    except (TypeError, ValueError):  # of compiled code, which does not tell
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in kinds]


def own_class_score(
    metric: str,
    targets: NDArray[np.uint8],
    probability: NDArray[Any],
    weights: FloatArray | None = None,
) -> float:
    """Return the score of a set of images by a metric of the user's own; NaN has no meaning there.

    Args:
        metric: bound reference.
        targets: (N, C) of 0 and 1.
        probability: (N, C), or labels of 0 and 1.
        weights: (N,) how often each image counts, whole numbers; the images are repeated.

    Raises:
        InputError: the function fails, or returns something else.
    """
    return _of_set(metric, CLASS_METRIC, (targets, probability), weights)


def own_number_score(
    metric: str, truth: FloatArray, predicted: FloatArray, weights: FloatArray | None = None
) -> float:
    """Return the score of grades or numbers by a metric of the user's own, as `own_class_score`.

    Args:
        metric: bound reference.
        truth: (N,) numbers; grades are whole numbers from 0.
        predicted: (N,) in the same units.
        weights: (N,) how often each image counts, whole numbers.

    Raises:
        InputError: the function fails, or returns something else.
    """
    return _of_set(metric, NUMBER_METRIC, (truth, predicted), weights)


def _of_set(
    metric: str, role: Role, given: tuple[NDArray[Any], ...], weights: FloatArray | None
) -> float:
    """Return the number that a function gives of arrays (N, ...), images repeated by weights."""
    function = once(metric, role)
    times = None if weights is None else np.rint(weights).astype(np.int64)
    seen = [
        np.array(values) if times is None else np.repeat(values, times, axis=0) for values in given
    ]
    with running(metric, role):
        score = function(*seen)
    number = np.asarray(score)
    numeric = np.issubdtype(number.dtype, np.number) and not np.iscomplexobj(number)
    if number.shape != () or not numeric or np.isinf(number):
        raise wrong_value(metric, role, f"{score!r:.60}")
    return float(number)
