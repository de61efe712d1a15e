"""Which rule is taken: the best one, or the one in the centre of the plateau around it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import (
    LEVELS,
    judged_levels,
    level_means,
    scores_by_level,
)
from goldfold.competitions.metric import ONE
from goldfold.competitions.scores import Ratios
from goldfold.ensemble.level_gains import whole_gains
from goldfold.ensemble.plateau import SLACK, Plateau, find_plateau
from goldfold.ensemble.presence import emptied, search_gated_rule
from goldfold.ensemble.threshold import Rule, RuleSearch, rule_scores
from goldfold.vocabulary import RuleChoice

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Chosen:
    """A rule, its mean score on the images it was chosen on, and the search behind it.

    `plateau` is None where the peak was asked for.
    """

    rule: Rule
    score: float
    peak: RuleSearch
    plateau: Plateau | None = None


def given_rule(
    top: float, min_area: int, bottom: float, *, at_size: int | None, pixels: int
) -> Rule:
    """Return the rule of thresholds that were found elsewhere, its area at the original size.

    Args:
        top: probability of the pixels that count.
        min_area: in pixels of images of `at_size`.
        bottom: probability of the mask's pixels.
        at_size: side in pixels, None where areas are those of the original images.
        pixels: of an original image.

    >>> given_rule(0.75, 2000, 0.3, at_size=1024, pixels=512 * 512)
    Rule(top=191, min_area=500, bottom=76, gate=0)
    """
    area = min_area if at_size is None else round(min_area * pixels / at_size**2)
    return Rule(level_of(top), area, level_of(bottom))


def level_of(probability: float) -> int:
    """Return the level that pixels of at least this probability exceed."""
    return min(max(math.ceil(probability * LEVELS) - 1, 0), LEVELS - 1)


def choose_rule(
    histograms: IntArray,
    metric: str,
    *,
    choice: RuleChoice = "peak",
    presence: IntArray | None = None,
    min_area_candidates: int | None = None,
    given: Rule | None = None,
    never_empty: bool | None = None,
) -> Chosen:
    """Return the rule that a sample of images speaks for.

    The presence gate is that of the best rule; the plateau is the one that goes with it.

    Args:
        histograms: (N, 2 or 3, 256) of `level_histograms`.
        metric: name of a metric of masks.
        choice: `peak` for the best score, `centre` for the centre of the plateau.
        presence: (N,) levels of presence; None for rules without a gate.
        min_area_candidates: as in `search_rule`.
        given: a rule that is taken whatever the images say.
        never_empty: no mask is empty, so no rule is to make one empty: only the threshold of the
            mask's pixels is chosen. None = whether that is so on these images.

    Raises:
        InputError: the histograms have another shape, or there is no such metric.
    """
    if given is not None:
        score = float(rule_scores(histograms, given, metric).mean())
        return Chosen(given, score, RuleSearch(given, score, 1))
    if has_no_empty_mask(histograms) if never_empty is None else never_empty:
        return _choose_bottom(histograms, metric, choice)
    peak = search_gated_rule(histograms, metric, presence, min_area_candidates=min_area_candidates)
    if choice == "peak":
        return Chosen(peak.rule, peak.score, peak)
    gate = peak.rule.gate
    if gate and presence is not None:
        histograms = emptied(histograms, presence < gate)
    plateau = find_plateau(histograms, metric)
    centre = replace(plateau.centre, gate=gate)
    return Chosen(centre, plateau.score, peak, replace(plateau, centre=centre))


def has_no_empty_mask(histograms: IntArray) -> bool:
    """Return whether every image has a true mask.

    Args:
        histograms: (N, 2 or 3, 256) of `level_histograms`.
    """
    return bool(histograms[:, 1].any(axis=1).all())


def _choose_bottom(histograms: IntArray, metric: str, choice: RuleChoice) -> Chosen:
    """Return the best rule, or the centre of the plateau, among those without a minimum area."""
    scores, judged = scores_by_level(histograms, metric), judged_levels(histograms)
    if isinstance(scores, Ratios):
        totals, within = level_means(scores), SLACK
    else:  # in whole numbers, so that equal scores tie
        totals, within = whole_gains(scores).sum(axis=1), int(SLACK * ONE * len(histograms))

    def middle(levels: IntArray) -> RuleSearch:
        level = int(judged[levels[np.abs(levels - levels.mean()).argmin()]])
        rule = Rule(level, 0, level)
        return RuleSearch(rule, float(rule_scores(histograms, rule, metric).mean()), len(levels))

    peak = middle(np.flatnonzero(totals == totals.max()))
    if choice == "peak":
        return Chosen(peak.rule, peak.score, peak)
    near = np.flatnonzero(totals >= totals.max() - within)
    centre, ends = middle(near), (int(judged[near[0]]), int(judged[near[-1]]))
    plateau = Plateau(centre.rule, centre.score, peak.score, SLACK, len(near), ends, ends, (0, 0))
    return Chosen(centre.rule, centre.score, peak, plateau)
