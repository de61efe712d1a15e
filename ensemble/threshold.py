"""The rule that turns probability maps into masks, and the exact search for the best one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import (
    LEVELS,
    PIXEL_ROWS,
    UNJUDGED,
    check_histograms,
    counts_above,
    judged_levels,
    level_means,
    object_scores,
    scores_by_level,
)
from goldfold.competitions.metric import ONE, scored_by_level, set_scores
from goldfold.competitions.scores import Ratios, Scores
from goldfold.ensemble.gate import best_gains
from goldfold.ensemble.level_gains import TOP_LEVEL, ratio_gains, whole_gains
from goldfold.errors import InputError

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Rule:
    """Empty if fewer than `min_area` pixels exceed level `top`, else the pixels above `bottom`.

    With a `gate` above 0 the mask is empty, too, where the image's presence level, from networks
    with a presence head, is below it.

    Levels are those of the 8-bit maps, q = min(floor(256 p), 255): a pixel is above level q when
    its probability is at least (q + 1) / 256, and no pixel is above 255. `min_area` counts pixels
    of the original image; 0 gates nothing. `bottom` may lie above `top`: the gate and the mask
    are two decisions, and the search loses nothing by keeping them apart.

    Source: the triplet rule of the 1st place of SIIM-ACR Pneumothorax Segmentation (2019); the
    gate by a classification branch is the 4th place's.
    """

    top: int
    min_area: int
    bottom: int
    gate: int = 0

    def __post_init__(self) -> None:
        """Refuse levels outside 0..255 and negative areas."""
        levels_fit = all(0 <= level < LEVELS for level in (self.top, self.bottom, self.gate))
        if not levels_fit or self.min_area < 0:
            raise InputError(
                "expected levels top, bottom and gate of 0 to 255 and a min_area of 0 or more, "
                f"found top {self.top}, min_area {self.min_area}, bottom {self.bottom}, "
                f"gate {self.gate}."
            )

    @property
    def top_probability(self) -> float:
        """Smallest probability of a pixel that counts towards min_area; 1 for none."""
        return (self.top + 1) / LEVELS

    @property
    def bottom_probability(self) -> float:
        """Smallest probability of a pixel of the mask; 1 for none."""
        return (self.bottom + 1) / LEVELS


ALL_EMPTY = Rule(top=TOP_LEVEL, min_area=1, bottom=TOP_LEVEL)
"""The rule under which every mask is empty."""


@dataclass(frozen=True)
class RuleSearch:
    """The best rule, its mean score on the images of the search, and how many pairs share it.

    `ties` counts the pairs (top, bottom) that reach exactly this score with some min_area.
    """

    rule: Rule
    score: float
    ties: int


def apply_rule(
    levels: NDArray[np.uint8], rule: Rule, presence: int | None = None
) -> NDArray[np.uint8]:
    """Return the mask of a map, uint8 (H, W) of 0 and 1.

    Args:
        levels: 8-bit probability map (H, W).
        rule: thresholds.
        presence: level of the image; needed where the rule has a gate.

    Raises:
        InputError: the map is not uint8, or the rule has a gate and the presence is not known.

    >>> apply_rule(np.array([[9, 5, 1]], np.uint8), Rule(top=8, min_area=1, bottom=3)).tolist()
    [[1, 1, 0]]
    """
    if levels.dtype != np.uint8:
        raise InputError(
            f"expected a map of 8-bit levels (uint8), found {levels.dtype}: a rule's thresholds "
            "are levels of 0 to 255, and probabilities lie below nearly all of them. Use "
            "goldfold.ProbabilityRule, or goldfold.competitions.as_levels on the map first."
        )
    if rule.gate and presence is None:
        raise InputError(
            "the rule has a presence gate, but no network of the blend has a presence head. "
            "Run `goldfold ensemble run` again."
        )
    closed = presence is not None and presence < rule.gate
    if closed or np.count_nonzero(levels > rule.top) < rule.min_area:
        return np.zeros(levels.shape, np.uint8)
    return (levels > rule.bottom).view(np.uint8)


def rule_scores(
    histograms: IntArray, rule: Rule, metric: str, presence: IntArray | None = None
) -> Scores:
    """Return the score of each image under a rule, (N,), or what each contributes to a ratio.

    Args:
        histograms: (N, 2 or 3, 256) of `level_histograms`.
        rule: thresholds.
        metric: name of a metric of masks.
        presence: (N,) levels; needed where the rule has a gate.

    Raises:
        InputError: the histograms have another shape, there is no such metric, or objects were
            not judged at the rule's bottom.
    """
    if not scored_by_level(metric):
        return set_scores(metric, *rule_counts(histograms, rule, presence).T)
    check_histograms(histograms)
    scores = object_scores(histograms)[:, rule.bottom]
    if (scores == UNJUDGED).any():
        raise InputError(f"objects were not judged at level {rule.bottom}, the rule's bottom.")
    passing = _passing(histograms, rule, presence)
    return np.where(passing, scores, object_scores(histograms)[:, TOP_LEVEL]) / ONE


def rule_counts(histograms: IntArray, rule: Rule, presence: IntArray | None = None) -> IntArray:
    """Return the pixels of each image in both masks, predicted and true under a rule, (N, 3).

    Args:
        histograms: (N, 2 or 3, 256) of `level_histograms`; a row of scores is not looked at.
        rule: thresholds.
        presence: (N,) levels; needed where the rule has a gate.

    Raises:
        InputError: the histograms have another shape.
    """
    check_histograms(histograms)
    passing = _passing(histograms, rule, presence)
    counts = histograms[:, :PIXEL_ROWS, rule.bottom + 1 :].sum(axis=2) * passing[:, None]
    return np.column_stack([counts[:, 1], counts[:, 0], histograms[:, 1].sum(axis=1)])


def _passing(histograms: IntArray, rule: Rule, presence: IntArray | None) -> NDArray[np.bool_]:
    """Return which images the rule gives a mask, (N,)."""
    passing: NDArray[np.bool_] = histograms[:, 0, rule.top + 1 :].sum(axis=1) >= rule.min_area
    return passing if not rule.gate or presence is None else passing & (presence >= rule.gate)


def search_rule(
    histograms: IntArray,
    metric: str,
    *,
    min_area_candidates: int | None = None,
    known: float = 0.0,
) -> RuleSearch:
    """Return the rule with the best mean score among all tops, min_areas and bottoms, exactly.

    All 256 x 256 levels and every min_area at which the outcome changes are covered (scores
    count in steps of 2**-40). The result does not depend on the order of the images. Where
    several rules tie exactly, the simplest wins: all masks empty, then no gate (min_area 0, top
    = bottom), then a gate; and within its kind the rule in the middle of the plateau, farthest
    from where the score falls:

    - the pair (top, bottom) nearest to the mean of all pairs that tie, the lower one if two are;
    - for it, the middle of the widest range of min_area that ties.

    Objects are judged at some levels only; the bottom is one of them.

    Args:
        histograms: (N, 2 or 3, 256) of `level_histograms`.
        metric: name of a metric of masks.
        min_area_candidates: try at most so many values of min_area for each top (a coarser
            search, less prone to fit single images); None tries all.
        known: a mean gain over the all-empty submission that is reached already; where nothing
            reaches it the result is some rule that does not, found sooner.

    Raises:
        InputError: the histograms have another shape, or there is no such metric.
    """
    scores = scores_by_level(histograms, metric)
    areas = np.ascontiguousarray(counts_above(histograms[:, 0]).T)
    if isinstance(scores, Ratios):
        return _search_ratio(histograms, metric, scores, areas, min_area_candidates, known)
    floor = int(known * ONE * len(histograms)) - 1 if known > 0 else 0
    rule, ties = _best_rule(histograms, whole_gains(scores), areas, floor, min_area_candidates)
    return RuleSearch(rule, float(rule_scores(histograms, rule, metric).mean()), ties)


def _search_ratio(
    histograms: IntArray,
    metric: str,
    scores: Ratios,
    areas: IntArray,
    candidates: int | None,
    known: float,
) -> RuleSearch:
    """Return the best rule where the score is a ratio of sums, by steps from ratio to ratio.

    Above / below exceeds a ratio r exactly where the sum of above - r below is positive. For a
    fixed r that is a sum over images, which the exact search makes largest.

    Source: Dinkelbach 1967, On nonlinear fractional programming.
    """
    empty = rule_scores(histograms, ALL_EMPTY, metric).mean()
    at = float(max(empty + known, level_means(scores).max()))
    best: RuleSearch | None = None
    while True:
        gains = ratio_gains(scores, at)
        rule, ties = _best_rule(histograms, gains.over_empty, areas, gains.needed, candidates)
        reached = float(rule_scores(histograms, rule, metric).mean())
        if best is None or reached >= best.score:
            best = RuleSearch(rule, reached, ties)
        if reached <= at:
            return best
        at = reached


def _best_rule(
    histograms: IntArray, gains: IntArray, areas: IntArray, floor: int, candidates: int | None
) -> tuple[Rule, int]:
    """Return the rule with the largest sum of gains over the empty mask, and how many pairs tie.

    Args:
        histograms: (N, 2 or 3, 256).
        gains: (256 bottoms, N).
        areas: (256 tops, N).
        floor: a sum that is reached already.
        candidates: of min_area for each top, None for all.
    """
    ungated = gains.sum(axis=1)
    reached = max(0, int(ungated.max()))
    table = best_gains(gains, areas, known=max(reached, floor), candidates=candidates)
    best = max(reached, int(table.max()))
    judged = judged_levels(histograms)
    if best == 0:
        return ALL_EMPTY, 1
    if best == ungated.max():
        bottoms = np.argwhere(ungated == best)
        bottom = int(judged[_most_central(bottoms)[0]])
        return Rule(bottom, 0, bottom), len(bottoms)
    pairs = np.argwhere(table == best)
    top, bottom = (int(level) for level in _most_central(pairs))
    min_area = _middle_min_area(gains[bottom], areas[top], best)
    return Rule(top, min_area, int(judged[bottom])), len(pairs)


def _most_central(points: IntArray) -> IntArray:
    """Return the point nearest to the mean of all (M, D); the first in order among equals."""
    count = len(points)
    # In whole numbers: M times the offset from the mean.
    offsets = points * count - points.sum(axis=0)
    nearest: IntArray = points[int(np.argmin((offsets**2).sum(axis=1)))]
    return nearest


def _middle_min_area(gains: IntArray, areas: IntArray, best: int) -> int:
    """Return the middle of the widest range of min_area of at least 1 whose gain is `best`.

    Args:
        gains: (N,) at the bottom.
        areas: (N,) above the top.
        best: gain to be reached.
    """
    distinct, place = np.unique(areas, return_inverse=True)
    by_area = np.zeros(distinct.size, np.int64)
    np.add.at(by_area, place, gains)
    total = by_area[::-1].cumsum()[::-1]  # gain of the images with at least distinct[i] pixels
    reached = np.flatnonzero((total == best) & (distinct > 0))
    lows = np.where(reached > 0, distinct[reached - 1], 0) + 1
    highs = distinct[reached]
    # Neighbouring ranges that tie are one.
    breaks = np.flatnonzero(np.diff(reached) > 1) + 1
    first = np.concatenate([[0], breaks])
    last = np.concatenate([breaks - 1, [reached.size - 1]])
    widest = int(np.argmax(highs[last] - lows[first]))
    return int(lows[first[widest]] + highs[last[widest]]) // 2
