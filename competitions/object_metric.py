"""Scores of an image from its predicted objects, the true ones, and how well they overlap.

At a threshold t a predicted object is a hit (TP) if its IoU with some true object exceeds t; true
objects without a hit are missed (FN), other predicted objects are wrong (FP). Thresholds are 0.50,
0.55, ... 0.95, and an object that exceeds one exceeds those below it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

F2 = "f2-iou-thresholds"
THRESHOLDS = 10


def f2_iou_thresholds(hits: ArrayLike, predicted: ArrayLike, true: ArrayLike) -> FloatArray:
    """Return the mean F2 of each image; 1 without any object, 0 with only true or predicted ones.

    The integers broadcast against each other.

    Args:
        hits: number of thresholds exceeded, summed over the predicted objects.
        predicted: number of predicted objects.
        true: number of true objects.

    >>> f2_iou_thresholds([10, 0, 0, 5], [1, 0, 3, 1], [1, 0, 0, 2]).round(4).tolist()
    [1.0, 1.0, 0.0, 0.2778]
    """
    hits, weight = np.asarray(hits), 4 * np.asarray(true) + np.asarray(predicted)
    return np.where(weight == 0, 1.0, hits / np.maximum(2 * weight, 1))


def ap_iou_thresholds(exceeded: ArrayLike, true: int) -> float:
    """Return the mean over the thresholds of TP / (TP + FP + FN); 1 without any object.

    Args:
        exceeded: (P,) how many of the thresholds each predicted object exceeds.
        true: number of true objects.

    Source: 2018 Data Science Bowl, evaluation page.

    >>> ap_iou_thresholds([10, 0], 1), ap_iou_thresholds([], 0), ap_iou_thresholds([4], 2)
    (0.5, 1.0, 0.2)
    """
    of_objects = np.asarray(exceeded, np.int64)
    hits = (of_objects[:, None] > np.arange(THRESHOLDS)).sum(axis=0)
    every = len(of_objects) + true - hits
    return float(np.mean(hits / every)) if len(of_objects) + true else 1.0


def thresholds_exceeded(intersection: IntArray, union: IntArray) -> IntArray:
    """Return how many of 0.50, 0.55, ... 0.95 each IoU exceeds; no union may be empty.

    Computed in whole numbers: IoU > m / 20 if and only if m < 20 I / U.

    >>> thresholds_exceeded(np.array([5, 51, 9]), np.array([10, 100, 9])).tolist()
    [0, 1, 10]
    """
    exceeded: IntArray = np.clip(-(-20 * intersection // union) - 10, 0, 10)
    return exceeded


def _f2(exceeded: IntArray, true: int) -> float:
    return float(f2_iou_thresholds(exceeded.sum(), len(exceeded), true))


OBJECT_SCORES: Mapping[str, Callable[[IntArray, int], float]] = MappingProxyType(
    {F2: _f2, "ap-iou-thresholds": ap_iou_thresholds}
)
"""Name of a metric -> function of how many thresholds each predicted object exceeds, and of how
many objects are true."""
