"""The threshold of one class: halfway between two probabilities that can be told apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_metric import CLIP, HALF

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STEPS_APART = 2
"""Probabilities at most this many float32 steps apart count as equal.

Networks compute in float32, so a smaller difference is rounding. A threshold halfway between two
that differ by more lies over a step from either: comparing in float32, reading the table from text
or blending on another machine gives the same labels.
"""


def best_threshold(truth: NDArray[np.bool_], probability: FloatArray, metric: str) -> float:
    """Return the threshold that is best on these images; of equally good ones, nearest to 1/2.

    The candidates lie halfway between neighbouring probabilities that differ by more than
    `STEPS_APART` float32 steps; one below all and one above all stand beside them.

    Args:
        truth: (N,) images of the class.
        probability: (N,) 0 to 1.
        metric: for `accuracy` the most right answers are best, for any other the highest F1.
    """
    limits, place = threshold_candidates(np.asarray(probability, np.float64))
    positive = np.bincount(place, weights=truth)
    everything = np.bincount(place)
    # Above limit k are the images of places k and up; above the last there are none.
    hits = np.append(np.cumsum(positive[::-1])[::-1], 0)
    said = np.append(np.cumsum(everything[::-1])[::-1], 0)
    if metric == "accuracy":
        score = hits - (said - hits)  # right answers, but for a constant
    else:
        score = 2 * hits / np.maximum(said + truth.sum(), 1)
    best = np.flatnonzero(score == score.max())
    return float(limits[best[np.argmin(np.abs(limits[best] - HALF))]])


def threshold_candidates(probability: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return thresholds (K + 1,), rising, and which two of them each image lies between.

    Args:
        probability: (N,); K groups of it can be told apart.

    Returns:
        The thresholds, and (N,) places 0 to K - 1: place k lies between thresholds k and k + 1.
    """
    values, place = np.unique(probability, return_inverse=True)
    step = np.spacing(values[1:].astype(np.float32)).astype(np.float64)
    apart = np.diff(values) > STEPS_APART * step
    group = np.append(0, np.cumsum(apart))
    middles = ((values[:-1] + values[1:]) / 2)[apart]
    # One half would be too near to a smallest value just above it, as that value itself would be.
    below_all = HALF if values[0] >= HALF + CLIP else values[0] / 2
    above_all = max(1.0, values[-1] + CLIP)
    return np.concatenate([[below_all], middles, [above_all]]), group[place]
