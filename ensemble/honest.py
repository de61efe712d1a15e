"""The honest score: every image is judged by a rule that was chosen without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.scores import Scores, gather
from goldfold.ensemble.intervals import Interval, group_interval
from goldfold.ensemble.threshold import ALL_EMPTY, Rule, rule_scores
from goldfold.ensemble.threshold_choice import Chosen, choose_rule, has_no_empty_mask
from goldfold.ensemble.weights import WeighedBlend
from goldfold.errors import InputError
from goldfold.folds.parts import names_of, number_groups, parts_of, refuse_judging
from goldfold.vocabulary import RuleChoice

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class FoldScore:
    """Images of one fold, the rule chosen on the others, and the mean score under it."""

    fold: int
    images: int
    rule: Rule
    score: float


@dataclass(frozen=True)
class Assessment:
    """The rule to use and what to expect of it.

    Attributes:
        chosen: the rule chosen on all images; its score is the optimistic one.
        scores: (N,) honest score of each image, or what each contributes to a ratio.
        honest: `scores.mean()`.
        interval: bootstrap interval of `honest` over groups.
        all_empty: score of predicting nothing.
        non_empty: honest score over the images with a true mask; None without such images.
        empty: honest score over the images without one; None without such images.
        folds: per fold.
        fold_count: folds that the images come from; at 1 the `folds` are parts of that fold.
        non_empty_images: images with a true mask.
        without_gate: honest score of the rules without the presence gate; None where there are
            no presence levels.
    """

    chosen: Chosen
    scores: Scores
    honest: float
    interval: Interval
    all_empty: float
    non_empty: float | None
    empty: float | None
    folds: tuple[FoldScore, ...]
    fold_count: int
    non_empty_images: int
    without_gate: float | None = None


class _Options(TypedDict):
    min_area_candidates: int | None
    choice: RuleChoice
    given: Rule | None
    without: Mapping[int, WeighedBlend] | None
    image_ids: Sequence[str] | None


def assess(
    histograms: IntArray,
    folds: Sequence[int] | IntArray,
    groups: Sequence[str],
    *,
    metric: str,
    samples: int = 2000,
    seed: int = 0,
    min_area_candidates: int | None = None,
    presence: IntArray | None = None,
    choice: RuleChoice = "peak",
    given: Rule | None = None,
    without: Mapping[int, WeighedBlend] | None = None,
    image_ids: Sequence[str] | None = None,
) -> Assessment:
    """Return the rule chosen on all images, with its honest and its optimistic score.

    Where no true mask is empty, no rule makes one empty: only a threshold is chosen.

    With predictions of one fold only there are no other folds to choose on; the groups of that
    fold are then dealt into five parts, and each part is judged by the rule of the others.

    Args:
        histograms: (N, 2 or 3, 256) of the blended out-of-fold maps.
        folds: (N,) fold of each image.
        groups: (N,) group of each image; "" for an image of its own.
        metric: name of a metric of masks.
        samples: resamplings behind the interval.
        seed: of the resampling, and of the parts of a single fold.
        min_area_candidates: as in `search_rule`.
        presence: (N,) levels of the blended presence probabilities. The gate that they allow is
            used only where the honest score is better with it.
        choice: the best rule, or the centre of the plateau around it.
        given: a rule that is taken instead of searching.
        without: as in `cross_fit`, by the parts of `parts_of`.
        image_ids: as in `cross_fit`.

    Raises:
        InputError: lengths differ, there is no such metric, or a single group cannot be parted.
        LeakError: as in `cross_fit`.
    """
    _check_lengths(len(histograms), len(folds), len(groups))
    group_of = number_groups(groups)
    fold_count = np.unique(np.asarray(folds)).size
    parts = parts_of(folds, groups, seed)
    has_mask = histograms[:, 1].sum(axis=1) > 0
    if has_mask.all():
        presence = None
    options: _Options = {
        "min_area_candidates": min_area_candidates,
        "choice": choice,
        "given": given,
        "without": without,
        "image_ids": image_ids,
    }
    scores, fold_scores = cross_fit(histograms, parts, metric, **options)
    without_gate = None
    if presence is not None:
        without_gate = float(scores.mean())
        gated, gated_folds = cross_fit(histograms, parts, metric, presence=presence, **options)
        if gated.mean() > scores.mean():
            scores, fold_scores = gated, gated_folds
        else:
            presence = None
    return Assessment(
        chosen=choose_rule(
            histograms,
            metric,
            presence=presence,
            min_area_candidates=min_area_candidates,
            choice=choice,
            given=given,
        ),
        scores=scores,
        honest=float(scores.mean()),
        interval=group_interval(scores, group_of, samples=samples, seed=seed),
        all_empty=float(rule_scores(histograms, ALL_EMPTY, metric).mean()),
        non_empty=_mean(scores[has_mask]),
        empty=_mean(scores[~has_mask]),
        folds=fold_scores,
        fold_count=fold_count,
        non_empty_images=int(has_mask.sum()),
        without_gate=without_gate,
    )


def cross_fit(
    histograms: IntArray,
    folds: IntArray,
    metric: str,
    *,
    min_area_candidates: int | None = None,
    presence: IntArray | None = None,
    choice: RuleChoice = "peak",
    given: Rule | None = None,
    without: Mapping[int, WeighedBlend] | None = None,
    image_ids: Sequence[str] | None = None,
) -> tuple[Scores, tuple[FoldScore, ...]]:
    """Return the score of each image under the rule of the other folds, (N,), and each fold's.

    Args:
        histograms: (N, 2 or 3, 256).
        folds: (N,) of at least two different folds.
        metric: name of a metric of masks.
        min_area_candidates: as in `search_rule`.
        presence: (N,) levels, None for rules without a gate.
        choice: as in `choose_rule`.
        given: as in `choose_rule`.
        without: where the blend itself was chosen: by fold, the blend that was chosen without it.
        image_ids: (N,) ids, by which leaks are found and named; places from 0 unless given.

    Raises:
        InputError: there is only one fold, or no such metric.
        LeakError: weights or a rule would judge images on which they were chosen.
    """
    names = np.unique(folds)
    if names.size < 2:
        raise InputError(
            f"expected predictions of at least two folds to choose a rule for each on the others, "
            f"found {names.size}. Train and predict a second fold."
        )
    ids, pieces = names_of(image_ids, len(histograms)), []
    never_empty = has_no_empty_mask(histograms)
    fold_scores = []
    for fold in names:
        here = folds == fold
        there = ~here
        refuse_judging("thresholds", int(fold), ids[there], ids[here])
        blend = histograms
        if without is not None:
            weighed = without[int(fold)]
            refuse_judging("blend weights", int(fold), weighed.chosen_on, ids[here])
            blend = weighed.histograms
        there_presence = None if presence is None else presence[there]
        rule = choose_rule(
            blend[there],
            metric,
            presence=there_presence,
            min_area_candidates=min_area_candidates,
            choice=choice,
            given=given,
            never_empty=never_empty,
        ).rule
        here_presence = None if presence is None else presence[here]
        scores = rule_scores(blend[here], rule, metric, here_presence)
        pieces.append((here, scores))
        fold_scores.append(FoldScore(int(fold), int(here.sum()), rule, float(scores.mean())))
    return gather(pieces), tuple(fold_scores)


def _mean(scores: Scores) -> float | None:
    return float(scores.mean()) if len(scores) else None


def _check_lengths(images: int, folds: int, groups: int) -> None:
    if images != folds or images != groups:
        raise InputError(
            f"expected a fold and a group for each image, found {images} images, {folds} folds "
            f"and {groups} groups."
        )
