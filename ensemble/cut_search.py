"""Cut points of grades for scores that are not one sum over images: macro-F1, and any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_threshold import ROUNDS, spread_out

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST_LIMITS = 1024
"""Limits between which the cuts of macro-F1 are tried; of more, so many spread evenly."""


def best_f1_cuts(below: IntArray) -> IntArray:
    """Return the rising positions of the cuts with the highest mean F1 over grades, (C - 1,).

    F1 of a grade is 2 hits / (said + true), which depends on the two cuts around it alone, so a
    dynamic program over all pairs of limits finds the best ones: exact where there are at most
    `MOST_LIMITS`.

    Args:
        below: (K + 1, C) images of each grade below each limit.
    """
    tried = np.arange(len(below))
    if len(tried) > MOST_LIMITS:
        tried = np.linspace(0, len(below) - 1, MOST_LIMITS).round().astype(np.int64)
    table = below[tried]
    images, true = table.sum(axis=1), table[-1]
    last = table.shape[1] - 1
    # Row j, column k: of all images between limits j and k, none where k lies below j.
    said = images[None, :] - images[:, None]
    score = np.where(np.arange(len(tried)) == 0, 0.0, -np.inf)  # of the cuts below limit j
    before = []
    for grade in range(last + 1):
        hits = table[None, :, grade] - table[:, None, grade]
        f1 = 2 * hits / np.maximum(said + true[grade], 1)
        sums = np.where(said >= 0, score[:, None] + f1, -np.inf)
        sums[np.tril_indices(len(tried), -1)] = -np.inf
        before.append(sums.argmax(axis=0))
        score = sums.max(axis=0)
    cuts: list[int] = []
    place = len(tried) - 1
    for grade in range(last, 0, -1):
        place = int(before[grade][place])
        cuts.insert(0, int(tried[place]))
    return np.array(cuts, np.int64)


def searched_cuts(
    score: Callable[[FloatArray], float], limits: FloatArray, starts: Sequence[FloatArray]
) -> FloatArray:
    """Return cut points (C - 1,) for a score that may be anything, one cut after the other.

    Not exact: it begins at the better one of `starts`; of a cut at most 128 limits between its
    neighbours are tried, and after 3 passes over the cuts the search ends.

    Args:
        score: cuts (C - 1,), rising -> what is to be largest; NaN is never best.
        limits: (K,) where a cut may lie, rising.
        starts: of each (C - 1,).
    """

    def known(cuts: FloatArray) -> float:
        value = score(cuts)
        return -np.inf if np.isnan(value) else value

    cuts = max(starts, key=known).copy()
    best = known(cuts)
    for _ in range(ROUNDS):
        before = cuts.copy()
        for number in range(len(cuts)):
            low = cuts[number - 1] if number else -np.inf
            high = cuts[number + 1] if number + 1 < len(cuts) else np.inf
            inside = spread_out(limits[(limits >= low) & (limits <= high)])
            for limit in inside:
                trial = cuts.copy()
                trial[number] = limit
                if (value := known(trial)) > best:
                    best, cuts = value, trial
        if np.array_equal(cuts, before):
            break
    return cuts
