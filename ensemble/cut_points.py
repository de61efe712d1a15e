"""Cut points that turn a number into a grade, searched exactly.

Kaggle solutions search them by Nelder-Mead, which stops at a local optimum of a step function. For
the quadratic weighted kappa the ratio of two sums over images is to be least; for a fixed ratio
that is one sum, which a dynamic program over the sorted numbers minimises in O(N C), and
Dinkelbach's steps from ratio to ratio end at the global optimum. Accuracy and the absolute error
are one sum from the start.
"""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_threshold import threshold_candidates
from goldfold.competitions.number_metric import KAPPA, MACRO_F1, grade_costs, number_score
from goldfold.ensemble.cut_search import best_f1_cuts, searched_cuts
from goldfold.own_code import is_reference

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST_STEPS = 100
"""Steps from ratio to ratio; five are usual."""


def to_grades(place: FloatArray, cuts: FloatArray) -> FloatArray:
    """Return the grade of each image, (N,) whole numbers from 0: how many cuts it reaches.

    Args:
        place: (N,) numbers.
        cuts: (C - 1,) rising.
    """
    return np.searchsorted(cuts, np.asarray(place, np.float64), side="right").astype(np.float64)


def best_cuts(truth: IntArray, place: FloatArray, metric: str, grades: int) -> FloatArray:
    """Return the cut points that score best on these images, (C - 1,) rising.

    No other cut points score higher; of `macro-f1` up to the number of them that
    `cut_search.best_f1_cuts` tries, and with a metric of the user's own they are searched
    (`cut_search.searched_cuts`). A cut lies halfway between two numbers that can be told apart;
    where several places are equally good for a cut, in the middle one of these.

    Args:
        truth: (N,) true grades, 0 to C - 1.
        place: (N,) numbers, rising with the grade, 0 to 1.
        metric: one of `goldfold.vocabulary.GradeMetric`, or a bound `module:object`.
        grades: C.

    Source: Dinkelbach 1967, On nonlinear fractional programming.
    """
    if is_reference(metric):
        return _own_cuts(truth, place, metric, grades)
    limits, group = threshold_candidates(np.asarray(place, np.float64))
    counts = np.zeros((len(limits) - 1, grades), np.int64)
    np.add.at(counts, (group, truth), 1)
    # Row k: what it costs to give each grade to all images below limit k.
    below = np.vstack([np.zeros((1, grades), np.int64), counts.cumsum(axis=0)])
    if metric == MACRO_F1:
        return np.asarray(limits[best_f1_cuts(below)], np.float64)
    costs = grade_costs(metric, below[-1])
    observed = below @ costs
    # Where all images have one grade, every answer has a kappa of 0: that grade costs least.
    if metric != KAPPA or counts.any(axis=0).sum() == 1:
        return np.asarray(limits[_least(observed)], np.float64)
    # N times what chance would cost, so that both are whole numbers.
    expected = below.sum(axis=1)[:, None] * (below[-1] @ costs)
    return np.asarray(limits[_least_ratio(observed, expected, len(truth))], np.float64)


def _own_cuts(truth: IntArray, place: FloatArray, metric: str, grades: int) -> FloatArray:
    """Return cut points for a metric of the user's own, begun at those of kappa and accuracy."""
    limits, _ = threshold_candidates(np.asarray(place, np.float64))
    starts = [best_cuts(truth, place, name, grades) for name in (KAPPA, "accuracy")]

    def score(cuts: FloatArray) -> float:
        return number_score(metric, truth.astype(np.float64), to_grades(place, cuts))

    return searched_cuts(score, limits, starts)


def _least_ratio(observed: IntArray, expected: IntArray, images: int) -> IntArray:
    """Return the rising positions of the cuts at which observed / expected is least.

    Args:
        observed: (K + 1, C) costs of giving each grade to all images below a limit.
        expected: (K + 1, C) N times what these would cost by chance.
        images: N.
    """
    # Whole numbers, and so exact, up to some hundred thousand images.
    exact = int(observed[-1].max()) * int(expected[-1].max()) < 2**61
    kind: type[np.generic] = np.int64 if exact else np.float64
    costs, chances = observed.astype(kind), expected.astype(kind)
    above, under = 1, images  # a constant grade costs as much as chance
    for _ in range(MOST_STEPS):
        cuts = _least(costs * kind(under) - chances * kind(above))
        cost, chance = _total(observed, cuts), _total(expected, cuts)
        if cost * under >= above * chance:
            break
        divisor = gcd(cost, chance)
        above, under = cost // divisor, chance // divisor
    return cuts


def _total(table: IntArray, cuts: IntArray) -> int:
    """Return the sum over images of what their grades cost."""
    ends = np.concatenate([[0], cuts, [len(table) - 1]])
    grades = np.arange(table.shape[1])
    return int((table[ends[1:], grades] - table[ends[:-1], grades]).sum())


def _least(table: NDArray[np.generic]) -> IntArray:
    """Return the rising positions (C - 1,) of the cuts at which the sum of costs is least.

    Args:
        table: (K + 1, C); row k is what it costs to give each grade to all images below limit k.
    """
    # The total is a constant plus, for each cut, the cost of the grade below it minus that above.
    steps = np.asarray(table[:, :-1] - table[:, 1:])  # type: ignore[operator]
    best, before = [steps[:, 0]], []
    for number in range(1, steps.shape[1]):
        before.append(np.minimum.accumulate(best[-1]))
        best.append(steps[:, number] + before[-1])
    cuts = [int(np.argmin(best[-1]))]
    for number in range(steps.shape[1] - 2, -1, -1):
        cuts.insert(0, int(np.argmin(best[number][: cuts[0] + 1])))
    return _centred(steps, np.array(cuts, np.int64))


def _centred(steps: NDArray[np.generic], cuts: IntArray) -> IntArray:
    """Return the cuts, each in the middle of the neighbouring positions that are as good."""
    cuts = cuts.copy()
    last = len(steps) - 1
    for number in range(len(cuts)):
        low = cuts[number - 1] if number else 0
        high = cuts[number + 1] if number + 1 < len(cuts) else last
        equal = steps[low : high + 1, number] == steps[cuts[number], number]
        here = cuts[number] - low
        worse_before = np.flatnonzero(~equal[:here])
        worse_after = np.flatnonzero(~equal[here:])
        first = worse_before[-1] + 1 if worse_before.size else 0
        end = here + worse_after[0] - 1 if worse_after.size else len(equal) - 1
        cuts[number] = low + (first + end) // 2
    return cuts
