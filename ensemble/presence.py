"""The presence gate: masks made empty where a classifier sees nothing, searched with the rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import (
    LEVELS,
    OBJECT_ROWS,
    PIXEL_ROWS,
    UNJUDGED,
    check_histograms,
)
from goldfold.ensemble.threshold import ALL_EMPTY, RuleSearch, rule_scores, search_rule

IntArray = NDArray[np.int64]

MOST_GATES = 32
"""Gates tried beside none; at most one in so many of the images lies between two of them."""


def presence_level(weights: Sequence[int], told: Sequence[Sequence[float]]) -> int | None:
    """Return the presence of an image as an 8-bit level, q = min(floor(256 p), 255).

    p is the weighted mean over the members whose networks have a presence head, computed exactly:
    near a level, a sum of floats would depend on the order of the members and of their trainings.

    Args:
        weights: of M members.
        told: of each member, the probabilities of its trainings; none without such a head.

    Returns:
        The level, None where no member of positive weight has a head.

    >>> presence_level([1, 3, 2], [[0.25, 0.75], [0.5], []])
    128
    """
    mean, total = Fraction(0), 0
    for weight, probabilities in zip(weights, told, strict=True):
        if probabilities:
            mean += weight * sum(map(Fraction, probabilities), Fraction()) / len(probabilities)
            total += weight
    return min(int(LEVELS * mean / total), LEVELS - 1) if total else None


def search_gated_rule(
    histograms: IntArray,
    metric: str,
    presence: IntArray | None,
    *,
    min_area_candidates: int | None = None,
) -> RuleSearch:
    """Return the best rule, its presence gate included.

    For each gate the images whose presence lies below it are emptied, and the exact search runs
    over what is left; a search that cannot reach the best gain so far ends soon. Where there are
    more than MOST_GATES different levels, those are tried that part the images evenly. A gate has
    to be better than none.

    Args:
        histograms: (N, 2 or 3, 256) of `level_histograms`.
        metric: name of a metric of masks.
        presence: (N,) levels 0 to 255; None for a rule without a gate.
        min_area_candidates: as in `search_rule`.

    Raises:
        InputError: the histograms have another shape, or there is no such metric.
    """
    best = search_rule(histograms, metric, min_area_candidates=min_area_candidates)
    if presence is None:
        return best
    empty = float(rule_scores(histograms, ALL_EMPTY, metric).mean())
    for gate in gates(presence):
        search = search_rule(
            emptied(histograms, presence < gate),
            metric,
            min_area_candidates=min_area_candidates,
            known=best.score - empty,
        )
        if search.score > best.score:
            best = RuleSearch(replace(search.rule, gate=gate), search.score, search.ties)
    return best


def gates(presence: IntArray) -> list[int]:
    """Return the levels worth trying as a gate, rising: those that empty some image, not all.

    >>> gates(np.array([3, 3, 9, 200]))
    [9, 200]
    """
    levels = np.unique(presence)[1:]
    if len(levels) > MOST_GATES:
        ordered = np.sort(presence)
        places = np.linspace(0, len(ordered) - 1, MOST_GATES + 2)[1:-1].round().astype(int)
        levels = np.setdiff1d(ordered[places], ordered[:1])
    return [int(level) for level in levels]


def emptied(histograms: IntArray, which: NDArray[np.bool_]) -> IntArray:
    """Return the histograms with all pixels of some images at level 0, where none is predicted.

    Args:
        histograms: (N, 2 or 3, 256); in a row of scores the empty mask's stands at all levels.
        which: (N,).
    """
    check_histograms(histograms)
    changed = histograms.copy()
    changed[which, :PIXEL_ROWS] = 0
    changed[which, :PIXEL_ROWS, 0] = histograms[which, :PIXEL_ROWS].sum(axis=2)
    if histograms.shape[1] == OBJECT_ROWS:
        of_nothing = histograms[which, 2, LEVELS - 1 :]
        changed[which, 2] = np.where(histograms[which, 2] == UNJUDGED, UNJUDGED, of_nothing)
    return changed
