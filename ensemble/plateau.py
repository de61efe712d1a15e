"""The plateau of the score: all rules nearly as good as the best, and the rule in its centre.

The best rule of a search fits single images of the sample it was searched on. Rules that score the
same but for a thousandth form a plateau around it, and its centre is farthest from where the score
falls. The 1st place of SIIM-ACR found (0.75, 2000, 0.3) best on its validation and (0.7, 600, 0.3)
best on the leaderboard.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import LEVELS, counts_above, judged_levels, scores_by_level
from goldfold.competitions.metric import ONE
from goldfold.competitions.scores import Ratios
from goldfold.ensemble.gate import PRUNED, best_gains
from goldfold.ensemble.level_gains import ratio_gains, whole_gains
from goldfold.ensemble.threshold import ALL_EMPTY, Rule, rule_scores, search_rule

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

SLACK = 0.001
"""Rules whose mean score lies at most so far below the best belong to the plateau."""

_MOST_PAIRS = 4096
"""Pairs (top, bottom) whose min_areas are looked at; of more, every n-th."""


@dataclass(frozen=True)
class Plateau:
    """All rules within `slack` of the best, in numbers, and the one in the centre.

    Attributes:
        centre: the rule nearest to the plateau's centre of mass, areas on a logarithmic scale.
        score: mean score of the centre on the images of the search.
        best: mean score of the best rule on them.
        slack: how far below the best a rule may lie.
        pairs: pairs (top, bottom) that reach the plateau with some min_area.
        tops: lowest and highest level.
        bottoms: lowest and highest level.
        min_areas: smallest and largest area in pixels.
    """

    centre: Rule
    score: float
    best: float
    slack: float
    pairs: int
    tops: tuple[int, int]
    bottoms: tuple[int, int]
    min_areas: tuple[int, int]


def find_plateau(histograms: IntArray, metric: str, *, slack: float = SLACK) -> Plateau:
    """Return the plateau of the exact search over (top, min_area, bottom).

    A rule without a minimum area is among them as min_area 1 with top = bottom.

    Args:
        histograms: (N, 2 or 3, 256) of `level_histograms`.
        metric: name of a metric of masks.
        slack: of the mean score.

    Raises:
        InputError: the histograms have another shape, or there is no such metric.
    """
    scores = scores_by_level(histograms, metric)
    empty = float(rule_scores(histograms, ALL_EMPTY, metric).mean())
    areas = np.ascontiguousarray(counts_above(histograms[:, 0]).T)
    if isinstance(scores, Ratios):
        best = search_rule(histograms, metric).score
        of_ratio = ratio_gains(scores, best - slack)
        gains, limit = of_ratio.over_empty, of_ratio.needed
        most = int(np.maximum(gains, 0).max(axis=0).sum())
        table = best_gains(gains, areas, known=most, slack=most - limit)
        some = best > empty
    else:
        gains, allowed = whole_gains(scores), int(slack * ONE * len(histograms))
        reached = max(0, int(gains.sum(axis=1).max()))
        table = best_gains(gains, areas, known=reached, slack=allowed)
        most = max(reached, int(table.max()))
        limit, some = most - allowed, most > 0
        best = empty + most / ONE / len(histograms)
    pairs = np.argwhere(table >= limit) if some else np.empty((0, 2), np.int64)
    pairs = pairs[table[pairs[:, 0], pairs[:, 1]] != PRUNED]
    if not len(pairs):
        top = (ALL_EMPTY.top, ALL_EMPTY.top)
        return Plateau(ALL_EMPTY, empty, empty, slack, 1, top, top, (1, 1))
    cells = _cells(gains, areas, _thin(pairs), limit)
    centre, judged = _centre(cells), judged_levels(histograms)
    centre = replace(centre, bottom=int(judged[centre.bottom]))
    return Plateau(
        centre,
        score=float(rule_scores(histograms, centre, metric).mean()),
        best=best,
        slack=slack,
        pairs=len(pairs),
        tops=(int(pairs[:, 0].min()), int(pairs[:, 0].max())),
        bottoms=(int(judged[pairs[:, 1].min()]), int(judged[pairs[:, 1].max()])),
        min_areas=(int(cells[:, 2].min()), int(cells[:, 3].max())),
    )


def _thin(pairs: IntArray) -> IntArray:
    thinned: IntArray = pairs[:: -(-len(pairs) // _MOST_PAIRS)]
    return thinned


def _cells(gains: IntArray, areas: IntArray, pairs: IntArray, limit: int) -> IntArray:
    """Return the ranges of min_area that reach the limit: (M, 4) of top, bottom, lowest, highest.

    Args:
        gains: (256 bottoms, N).
        areas: (256 tops, N).
        pairs: (K, 2) of top and bottom, sorted by top.
        limit: gain to be reached.
    """
    cells = []
    for top in np.unique(pairs[:, 0]):
        bottoms = pairs[pairs[:, 0] == top, 1]
        order = np.argsort(areas[top], kind="stable")
        ordered = areas[top][order]
        starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        distinct = ordered[starts]
        sums = np.add.reduceat(gains[np.ix_(bottoms, order)], starts, axis=1)
        totals = sums[:, ::-1].cumsum(axis=1)[:, ::-1]
        lows = np.concatenate([[0], distinct[:-1]]) + 1
        for bottom, reached in zip(bottoms, (totals >= limit) & (distinct > 0), strict=True):
            places = np.flatnonzero(reached)
            if not places.size:
                continue
            breaks = np.flatnonzero(np.diff(places) > 1)
            first = places[np.append(0, breaks + 1)]
            last = places[np.append(breaks, places.size - 1)]
            cells += [(top, bottom, lows[a], distinct[b]) for a, b in zip(first, last, strict=True)]
    return np.array(cells, np.int64)


def _centre(cells: IntArray) -> Rule:
    """Return the rule of the plateau nearest to its centre of mass.

    Levels count as parts of 255, areas by the logarithm, as parts of its range.
    """
    low, high = np.log(cells[:, 2] - 0.5), np.log(cells[:, 3] + 0.5)
    weight = high - low
    middle = (low + high) / 2
    levels = cells[:, :2] / (LEVELS - 1)
    mass = float(weight.sum())
    mean_levels = (levels * weight[:, None]).sum(axis=0) / mass
    mean_area = float((middle * weight).sum()) / mass
    span = max(float(high.max() - low.min()), 1e-9)
    nearest = np.clip(mean_area, low, high)
    distance = ((levels - mean_levels) ** 2).sum(axis=1) + ((nearest - mean_area) / span) ** 2
    chosen = int(np.argmin(distance))
    top, bottom, least, most = (int(value) for value in cells[chosen])
    area = int(np.clip(round(float(np.exp(nearest[chosen]))), least, most))
    return Rule(top, area, bottom)
