"""The best rule for the user's own out-of-fold maps, and its honest score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.rle import DialectLike
from goldfold.competitions.scores import of_images
from goldfold.ensemble.cross_fitted import HonestScore, make_parts
from goldfold.ensemble.honest import Assessment, assess
from goldfold.ensemble.intervals import Interval
from goldfold.ensemble.map_histograms import MapHistograms, MaskMetric, map_histograms
from goldfold.ensemble.probability_rule import ProbabilityRule
from goldfold.errors import InputError
from goldfold.vocabulary import RuleChoice as RuleName
from goldfold.vocabulary import names_of


@dataclass(frozen=True)
class JudgedFold:
    """One fold: its images, the rule chosen on the other folds, and the mean score under it."""

    fold: str
    images: int
    rule: ProbabilityRule
    score: float


@dataclass(frozen=True)
class RuleChoice(HonestScore):
    """A rule in probabilities and what to expect of it.

    Attributes:
        rule: chosen on all images; `rule.apply(map)` gives a mask.
        all_empty: score of predicting nothing.
        scores: float64 (N,) honest score of each image; of a metric of all pixels, what each would
            score alone.
        folds: per fold.
    """

    rule: ProbabilityRule
    all_empty: float
    scores: NDArray[np.float64]
    folds: tuple[JudgedFold, ...]

    def __str__(self) -> str:
        """Return two lines for people."""
        rule = self.rule
        return (
            f"{super().__str__()}, all-empty {self.all_empty:.4f}\n"
            f"empty if fewer than {rule.min_area:,} pixels reach probability {rule.top:.3f}, else "
            f"pixels from {rule.bottom:.3f}"
        )


def choose_rule(
    probabilities: Any,
    masks: Iterable[Any],
    metric: str | MaskMetric = "dice",
    *,
    folds: Any = None,
    groups: Iterable[Any] | None = None,
    dialect: DialectLike | None = None,
    choice: RuleName = "centre",
    greater_is_better: bool = True,
    samples: int = 2000,
    seed: int = 0,
) -> RuleChoice:
    """Return the best rule (top, min_area, bottom) for out-of-fold maps, with its honest score.

    The search is exact: all 256 levels of top and bottom and every min_area at which anything
    changes are tried. Maps are looked at one at a time, so they need not fit in memory. The
    cross-fitted score, in short the honest score, judges the images of each fold by the rule that
    is best on the other folds.

    Args:
        probabilities: N maps (H, W) at the original size, floats from 0 to 1 or uint8 levels: an
            array (N, H, W), a list, any iterable, or a function of the image's number from 0.
        masks: N true masks: arrays (H, W) of 0 and 1, run-length encodings, or None for empty.
        metric: a name of a metric of pixels, such as "dice" or "global-dice", or a function of the
            true and the predicted mask, both uint8 (H, W), that returns the image's score. A
            function is computed at every eighth level only, and has to be finite for empty masks.
        folds: (N,) fold in which each image was held out. If there is only one, its groups are
            dealt into five parts.
        groups: (N,) patient or other group of each image, for the interval; missing values are
            images of their own.
        dialect: name of the run-length dialect, where masks are text.
        choice: "centre" of all rules within 0.001 of the best, or the "peak" itself. (For a
            function, within a thousandth of the range of its scores.)
        greater_is_better: of a function.
        samples: resamplings behind the interval.
        seed: of the resampling.

    Raises:
        InputError: lengths, shapes, dtypes or values do not fit; the message says which.

    >>> maps = np.array([[[0.9, 0.2]], [[0.1, 0.2]]] * 2)
    >>> rule = choose_rule(maps, [[[1, 0]], None] * 2, folds=[0, 0, 1, 1])
    >>> rule.honest, rule.optimistic, rule.all_empty
    (1.0, 1.0, 0.5)
    """
    if choice not in names_of(RuleName):
        known = ", ".join(map(repr, names_of(RuleName)))
        raise InputError(f"unknown choice {choice!r}; there are {known}.")
    known_maps = map_histograms(
        probabilities, masks, metric, dialect=dialect, greater_is_better=greater_is_better
    )
    parts = make_parts(len(known_maps.histograms), folds, groups, seed)
    assessment = assess(
        known_maps.histograms,
        parts.of_image,
        parts.groups,
        metric=known_maps.metric,
        samples=samples,
        seed=seed,
        choice=choice,
    )
    judged = tuple(
        JudgedFold(
            parts.name(fold.fold),
            fold.images,
            ProbabilityRule.from_levels(fold.rule),
            float(known_maps.score(fold.score)),
        )
        for fold in assessment.folds
    )
    return _in_units(assessment, known_maps, judged)


def _in_units(
    assessment: Assessment, known_maps: MapHistograms, folds: tuple[JudgedFold, ...]
) -> RuleChoice:
    """Return an assessment in the metric's own units."""
    drawn = assessment.interval
    low, high = sorted(float(known_maps.score(bound)) for bound in (drawn.low, drawn.high))
    return RuleChoice(
        honest=float(known_maps.score(assessment.honest)),
        interval=Interval(low, high, drawn.level, drawn.samples, drawn.groups, drawn.seed),
        optimistic=float(known_maps.score(assessment.chosen.score)),
        rule=ProbabilityRule.from_levels(assessment.chosen.rule),
        all_empty=float(known_maps.score(assessment.all_empty)),
        scores=known_maps.score(of_images(assessment.scores)),
        folds=folds,
    )
