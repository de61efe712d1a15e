"""Thresholds of classes: halfway between two probabilities that can be told apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_metric import CLIP, HALF, scored_classes
from goldfold.metric_names import MetricCall, parse_metric

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST_CANDIDATES = 128
"""Thresholds of a class that are tried with a metric of one's own."""
ROUNDS = 3
"""Passes over the classes, one threshold at a time."""
STEPS_APART = 2
"""Probabilities at most this many float32 steps apart count as equal.

Networks compute in float32, so a smaller difference is rounding. A threshold halfway between two
that differ by more lies over a step from either: comparing in float32, reading the table from text
or blending on another machine gives the same labels.
"""


@dataclass(frozen=True)
class Tallies:
    """What each threshold of a class says yes to.

    Attributes:
        limits: (K,) thresholds, rising.
        hits: (K,) images of the class that it says yes to.
        said: (K,) images that it says yes to.
        positives: images of the class.
        images: all of them.
    """

    limits: FloatArray
    hits: IntArray
    said: IntArray
    positives: int
    images: int

    def nearest(self, score: NDArray[Any]) -> int:
        """Return the place of the best score (K,); of equals, of the threshold nearest to 1/2."""
        best = np.flatnonzero(score == score.max())
        return int(best[np.argmin(np.abs(self.limits[best] - HALF))])


def tally(truth: NDArray[np.bool_], probability: FloatArray) -> Tallies:
    """Return the counts at every threshold between probabilities that can be told apart.

    The candidates lie halfway between neighbouring probabilities that differ by more than
    `STEPS_APART` float32 steps; one below all and one above all stand beside them.

    Args:
        truth: (N,) images of the class.
        probability: (N,) 0 to 1.
    """
    limits, place = threshold_candidates(np.asarray(probability, np.float64))
    positive = np.bincount(place[truth], minlength=len(limits) - 1)
    everything = np.bincount(place)
    # Above limit k are the images of places k and up; above the last there are none.
    hits = np.append(np.cumsum(positive[::-1])[::-1], 0)
    said = np.append(np.cumsum(everything[::-1])[::-1], 0)
    return Tallies(limits, hits, said, int(truth.sum()), len(truth))


def _right(at: Tallies, _: MetricCall) -> NDArray[Any]:
    """Return the right answers, but for a constant."""
    return at.hits - (at.said - at.hits)


def _f1(at: Tallies, _: MetricCall) -> NDArray[Any]:
    return np.asarray(2 * at.hits / np.maximum(at.said + at.positives, 1))


def _f_beta(at: Tallies, call: MetricCall) -> NDArray[Any]:
    below = call.number("beta") ** 2 * at.positives + at.said
    return np.asarray(at.hits / np.where(below > 0, below, 1))


def _balanced(at: Tallies, call: MetricCall) -> NDArray[Any]:
    """Return the sum of both recalls times the images of both, in whole numbers."""
    negatives = at.images - at.positives
    if not at.positives or not negatives:  # the recall of the only one
        return _right(at, call)
    return at.hits * negatives - (at.said - at.hits) * at.positives


def _macro_f1(at: Tallies, call: MetricCall) -> NDArray[Any]:
    """Return F1 of yes plus F1 of no."""
    of_no = at.images - at.positives - (at.said - at.hits)
    below = 2 * at.images - at.said - at.positives
    return np.asarray(_f1(at, call) + 2 * of_no / np.maximum(below, 1))


CURVES: Mapping[str, Callable[[Tallies, MetricCall], NDArray[Any]]] = MappingProxyType(
    {
        "accuracy": _right,
        "balanced-accuracy": _balanced,
        "f1": _f1,
        "macro-f1": _f1,
        "micro-f1": _f1,
        "pf-beta": _f_beta,
    }
)
"""By metric of labels, what the threshold of one class makes largest; for any other metric F1."""
OF_BOTH = MappingProxyType({"macro-f1": _macro_f1, "micro-f1": _right})
"""The same for two exclusive classes, where the metric counts both."""


def best_threshold(
    truth: NDArray[np.bool_], probability: FloatArray, metric: str, *, both: bool = False
) -> float:
    """Return the threshold that is best on these images; of equally good ones, nearest to 1/2.

    Args:
        truth: (N,) images of the class.
        probability: (N,) 0 to 1.
        metric: name of a metric, with its parameters; F1 for one that takes probabilities.
        both: the class is the second of two exclusive ones.
    """
    call, at = parse_metric(metric), tally(truth, probability)
    curve = CURVES.get(call.name, _f1)
    if both:
        curve = OF_BOTH.get(call.name, curve)
    return float(at.limits[at.nearest(curve(at, call))])


def best_thresholds(
    truth: NDArray[np.bool_], probability: FloatArray, metric: str, *, exclusive: bool
) -> list[float]:
    """Return the thresholds (C,) that are best on these images, exactly.

    The score of most metrics is a mean over classes, so each class has its own search; micro-F1 is
    one ratio of sums over all classes (`_pooled_f1`). Of two exclusive classes only the second has
    a threshold; of more than two the most likely class counts, whatever the thresholds.

    Args:
        truth: (N, C).
        probability: (N, C) 0 to 1.
        metric: name of a metric, with its parameters.
        exclusive: whether each image has exactly one class.
    """
    classes = truth.shape[1]
    limits = [HALF] * classes
    if exclusive and classes > 2:
        return limits
    if parse_metric(metric).name == "micro-f1" and not exclusive:
        return _pooled_f1([tally(truth[:, c], probability[:, c]) for c in range(classes)])
    for place in scored_classes(classes, exclusive):
        limits[place] = best_threshold(
            truth[:, place], probability[:, place], metric, both=exclusive
        )
    return limits


def _pooled_f1(classes: Sequence[Tallies]) -> list[float]:
    """Return the thresholds with the highest F1 of all pairs of image and class.

    F1 = 2 hits / (said + positives), sums over all classes, exceeds a ratio r exactly where
    2 hits - r said - r positives > 0: for a fixed r each class has its own best threshold. Steps
    from ratio to ratio, in whole numbers, end at the highest one.

    Source: Dinkelbach 1967, On nonlinear fractional programming.
    """
    positives = sum(at.positives for at in classes)
    above, below = 0, 1
    while True:
        places = [at.nearest(2 * below * at.hits - above * at.said) for at in classes]
        pairs = list(zip(classes, places, strict=True))
        hits = 2 * sum(int(at.hits[place]) for at, place in pairs)
        said = sum(int(at.said[place]) for at, place in pairs) + positives
        if hits * below <= above * said:
            return [float(at.limits[place]) for at, place in pairs]
        above, below = hits, said


def coordinate_thresholds(
    score: Callable[[list[float]], float], probability: FloatArray, *, exclusive: bool
) -> list[float]:
    """Return thresholds (C,) for a score that may be anything, one class after the other.

    Not exact: of a class at most `MOST_CANDIDATES` thresholds are tried, spread evenly over its
    probabilities, and after `ROUNDS` passes over the classes the search ends.

    Args:
        score: thresholds (C,) -> what is to be largest; NaN is never best.
        probability: (N, C).
        exclusive: as in `best_thresholds`.
    """
    classes = probability.shape[1]
    limits = [HALF] * classes
    if exclusive and classes > 2:
        return limits
    places = scored_classes(classes, exclusive)
    for _ in range(ROUNDS if len(places) > 1 else 1):
        before = list(limits)
        for place in places:
            candidates, _ = threshold_candidates(probability[:, place])
            candidates = spread_out(candidates)
            scores = np.array(
                [score([*limits[:place], float(c), *limits[place + 1 :]]) for c in candidates]
            )
            if np.isnan(scores).all():
                continue
            best = np.flatnonzero(scores == np.nanmax(scores))
            limits[place] = float(candidates[best[np.argmin(np.abs(candidates[best] - HALF))]])
        if limits == before:
            break
    return limits


def describe_search() -> dict[str, int]:
    """Return what a search that is not exact tries, as ensemble.json says it."""
    return {"candidates": MOST_CANDIDATES, "passes": ROUNDS}


def spread_out(candidates: FloatArray) -> FloatArray:
    """Return at most `MOST_CANDIDATES` of thresholds (K,), spread evenly."""
    if candidates.size <= MOST_CANDIDATES:
        return candidates
    places = np.linspace(0, candidates.size - 1, MOST_CANDIDATES).round().astype(np.int64)
    return np.asarray(candidates[places])


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
