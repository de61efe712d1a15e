"""Scores of images from pixel counts, with the competition's rule for empty masks.

Metrics that compare objects or shapes are named here, but computed in
`goldfold.competitions.objects` and `goldfold.competitions.shapes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goldfold.competitions.own_metric import judges_masks, own_image_scores
from goldfold.competitions.scores import Ratios, Scores, ratio
from goldfold.errors import InputError, did_you_mean
from goldfold.metric_names import SKIP, MetricCall, metric_name, parse_metric
from goldfold.own_code import is_reference
from goldfold.vocabulary import ObjectMetric, ShapeMetric, names_of

IntArray = NDArray[np.integer]
FloatArray = NDArray[np.float64]

ONE = 1 << 40
"""A score of 1 as a whole number; sums of 2**22 images stay exact in 64 bits."""

OBJECT_METRICS = names_of(ObjectMetric)
"""Metrics of objects, which do not follow from pixel counts."""
SHAPE_METRICS = names_of(ShapeMetric)
"""Metrics of the shape of masks, which do not either."""
GIVEN_SCORES = "given-scores"
"""In place of a metric's name: the third row of the histograms holds scores of any metric."""


def image_scores(
    metric: str, intersection: ArrayLike, predicted: ArrayLike, true: ArrayLike
) -> FloatArray:
    """Return the score of each image, 0 to 1.

    Their mean is the competition's score, unless the metric is one of all pixels of all images,
    such as `global-dice`: then `set_scores` has it.

    The counts are numbers of pixels at the image's original size, and broadcast against each
    other. Unless the metric says otherwise, two empty masks score 1, and one empty mask scores 0.

    Args:
        metric: a name in `METRICS`, with or without parameters, or a bound `module:object`
            (`own_metric.own_image_scores`).
        intersection: pixels in both masks.
        predicted: pixels of the predicted mask.
        true: pixels of the true mask.

    Raises:
        InputError: there is no such metric, it compares objects or shapes, counts are no
            whole numbers, or a metric of your own fails.

    >>> image_scores("dice", [30, 0, 0], [40, 0, 9], [80, 0, 0]).tolist()
    [0.5, 1.0, 0.0]
    """
    scores = set_scores(metric, intersection, predicted, true)
    return ratio(scores.above, scores.below) if isinstance(scores, Ratios) else scores


def set_scores(
    metric: str, intersection: ArrayLike, predicted: ArrayLike, true: ArrayLike
) -> Scores:
    """Return what images score; `.mean()` of it is the competition's score of all of them.

    Arguments and errors are those of `image_scores`.

    >>> counts = [30, 0, 0], [40, 0, 9], [80, 0, 1]
    >>> set_scores("dice", *counts).mean(), round(set_scores("global-dice", *counts).mean(), 4)
    (np.float64(0.5), 0.4615)
    """
    call = parse_metric(metric)
    if call.name in (*OBJECT_METRICS, *SHAPE_METRICS) or (
        is_reference(metric) and judges_masks(metric)
    ):
        raise InputError(
            f"{metric!r} compares objects or shapes; it does not follow from pixel counts."
        )
    if call.name not in METRICS and not is_reference(metric):
        hint = did_you_mean(call.name, METRICS)
        raise InputError(f"unknown metric {metric!r}; expected one of {', '.join(METRICS)}.{hint}")
    given = [np.asarray(count) for count in (intersection, predicted, true)]
    for what, count in zip(("intersection", "predicted", "true"), given, strict=True):
        if not np.issubdtype(count.dtype, np.integer):
            raise InputError(
                f"expected {what} as whole numbers of pixels, found {count.dtype}. Count the "
                "pixels of thresholded masks, for example (probability > 0.5).sum()."
            )
    counts = [count.astype(np.int64, copy=False) for count in given]
    if call.name not in METRICS:
        return own_image_scores(metric, *counts)
    scores = METRICS[call.name](*counts)
    return _with_both_empty(call, scores, counts[1] + counts[2] > 0)


def is_ratio(metric: str) -> bool:
    """Return whether the score is a ratio of sums over images, not a mean over images."""
    call = parse_metric(metric)
    return call.name.startswith("global-") or call.parameters.get("both_empty") == SKIP


def scored_by_level(metric: str) -> bool:
    """Return whether the third row of histograms is read for a metric.

    It is for objects, for shapes and for functions of masks of the user's own.
    """
    if is_reference(metric):
        return judges_masks(metric)
    return metric_name(metric) in (*OBJECT_METRICS, *SHAPE_METRICS, GIVEN_SCORES)


def dice(intersection: IntArray, predicted: IntArray, true: IntArray) -> FloatArray:
    """Return the Dice coefficient 2 I / (P + T) of each image; 1 where both masks are empty.

    Source: SIIM-ACR Pneumothorax Segmentation, evaluation page (2019).
    """
    total = predicted + true
    return np.where(total == 0, 1.0, 2.0 * intersection / np.maximum(total, 1))


def iou(intersection: IntArray, predicted: IntArray, true: IntArray) -> FloatArray:
    """Return the intersection over union I / (P + T - I) of each image; 1 where both are empty."""
    union = predicted + true - intersection
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))


def mean_iou_thresholds(intersection: IntArray, predicted: IntArray, true: IntArray) -> FloatArray:
    """Return the share of the thresholds 0.50, 0.55, ... 0.95 that each image's IoU exceeds.

    1 where both masks are empty. An IoU equal to a threshold does not exceed it. Computed in
    whole numbers: IoU > m / 20 if and only if m < 20 I / U, so with m from 10 to 19 the number of
    thresholds exceeded is ceil(20 I / U) - 10, clipped to 0 to 10.

    Source: TGS Salt Identification Challenge, evaluation page (2018).
    """
    union = predicted + true - intersection
    ceiling = -(-20 * intersection // np.maximum(union, 1))
    return np.where(union == 0, 1.0, np.clip(ceiling - 10, 0, 10) / 10.0)


def global_dice(intersection: IntArray, predicted: IntArray, true: IntArray) -> Ratios:
    """Return what images contribute to 2 I / (P + T), each a sum over all images."""
    return _ratios(2 * intersection, predicted + true)


def global_iou(intersection: IntArray, predicted: IntArray, true: IntArray) -> Ratios:
    """Return what images contribute to I / (P + T - I), each a sum over all images."""
    return _ratios(intersection, predicted + true - intersection)


def _ratios(above: IntArray, below: IntArray) -> Ratios:
    pair = np.broadcast_arrays(above.astype(np.float64), below.astype(np.float64))
    return Ratios(*pair)


def _with_both_empty(call: MetricCall, scores: Scores, some: NDArray[np.bool_]) -> Scores:
    """Return scores under the call's rule for images whose masks are both empty.

    Args:
        call: the metric.
        scores: where such images score 1.
        some: whether any pixel is true or predicted, of a shape that broadcasts.
    """
    rule = call.parameters.get("both_empty", 1.0)
    if rule == 1.0 or isinstance(scores, Ratios):
        return scores
    counted = np.broadcast_to(some, scores.shape)
    above = np.where(counted, scores, 0.0)
    return Ratios(above, counted.astype(np.float64)) if rule == SKIP else above


METRICS: Mapping[str, Callable[[IntArray, IntArray, IntArray], Scores]] = MappingProxyType(
    {
        "dice": dice,
        "mean-iou": iou,
        "mean-iou-thresholds": mean_iou_thresholds,
        "global-dice": global_dice,
        "global-iou": global_iou,
    }
)
"""Name of a metric -> function of int64 arrays (intersection, predicted, true) that broadcast."""
