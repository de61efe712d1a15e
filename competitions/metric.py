"""Scores of images from pixel counts, with the competition's rule for empty masks.

Metrics that compare objects instead of pixels are named here, but computed in
`goldfold.competitions.objects`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goldfold.competitions.own_metric import own_image_scores
from goldfold.errors import InputError, did_you_mean
from goldfold.own_code import is_reference
from goldfold.vocabulary import ObjectMetric, names_of

IntArray = NDArray[np.integer]
FloatArray = NDArray[np.float64]

ONE = 1 << 40
"""A score of 1 as a whole number; sums of 2**22 images stay exact in 64 bits."""

OBJECT_METRICS = names_of(ObjectMetric)
"""Metrics of objects, which do not follow from pixel counts."""
GIVEN_SCORES = "given-scores"
"""In place of a metric's name: the third row of the histograms holds scores of any metric."""
SCORED_BY_LEVEL = (*OBJECT_METRICS, GIVEN_SCORES)
"""What the third row of the histograms is read for."""


def image_scores(
    metric: str, intersection: ArrayLike, predicted: ArrayLike, true: ArrayLike
) -> FloatArray:
    """Return the score of each image, 0 to 1; their mean is the competition's score.

    The counts are numbers of pixels at the image's original size, and broadcast against each
    other. With each of goldfold's metrics two empty masks score 1, and one empty mask scores 0.

    Args:
        metric: a name in `METRICS`, or a bound `module:object` (`own_metric.own_image_scores`).
        intersection: pixels in both masks.
        predicted: pixels of the predicted mask.
        true: pixels of the true mask.

    Raises:
        InputError: there is no such metric, it compares objects, counts are no
            whole numbers, or a metric of your own fails.

    >>> image_scores("dice", [30, 0, 0], [40, 0, 9], [80, 0, 0]).tolist()
    [0.5, 1.0, 0.0]
    """
    if metric in OBJECT_METRICS:
        raise InputError(f"{metric!r} compares objects; it does not follow from pixel counts.")
    if metric not in METRICS and not is_reference(metric):
        hint = did_you_mean(metric, METRICS)
        raise InputError(f"unknown metric {metric!r}; expected one of {', '.join(METRICS)}.{hint}")
    given = [np.asarray(count) for count in (intersection, predicted, true)]
    for what, count in zip(("intersection", "predicted", "true"), given, strict=True):
        if not np.issubdtype(count.dtype, np.integer):
            raise InputError(
                f"expected {what} as whole numbers of pixels, found {count.dtype}. Count the "
                "pixels of thresholded masks, for example (probability > 0.5).sum()."
            )
    counts = [count.astype(np.int64, copy=False) for count in given]
    if metric not in METRICS:
        return own_image_scores(metric, *counts)
    return METRICS[metric](*counts)


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


METRICS: Mapping[str, Callable[[IntArray, IntArray, IntArray], FloatArray]] = MappingProxyType(
    {"dice": dice, "mean-iou": iou, "mean-iou-thresholds": mean_iou_thresholds}
)
"""Name of a metric -> function of int64 arrays (intersection, predicted, true) that broadcast."""
