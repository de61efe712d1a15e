"""The honest score of the user's own class probabilities, under any metric."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_metric import decide
from goldfold.competitions.class_metric_score import class_metric_score
from goldfold.competitions.class_metric_table import class_kind
from goldfold.competitions.class_threshold import best_thresholds, coordinate_thresholds
from goldfold.ensemble.class_intervals import known_bounds
from goldfold.ensemble.class_targets import ClassTargets
from goldfold.ensemble.cross_fitted import HonestScore, Parts
from goldfold.ensemble.intervals import INTERVAL_LEVEL, Interval
from goldfold.errors import InputError
from goldfold.metric_names import require_metric
from goldfold.vocabulary import ClassMetric as ClassMetricName
from goldfold.vocabulary import names_of

ClassMetric = Callable[[NDArray[Any], NDArray[Any]], float]
"""Targets and answers (or probabilities), in this order -> score of all images together."""
Takes = Literal["labels", "probabilities"]
FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class JudgedClassFold:
    """One fold: its images, the thresholds chosen on the other folds, and the score with them.

    The score is NaN where the metric has none, such as an AUROC of a single class.
    """

    fold: str
    images: int
    thresholds: tuple[float, ...]
    score: float


@dataclass(frozen=True)
class ClassScore(HonestScore):
    """What to expect of class probabilities and their thresholds.

    Attributes:
        thresholds: of each class, chosen on all images; a probability of at least its threshold
            is a yes. Empty where nothing is chosen: the metric takes probabilities, or the most
            likely of more than two classes counts.
        answers: what the metric judged: each image by the thresholds of the other folds, or its
            probabilities.
        folds: per fold.
        undefined_samples: resamplings of which the metric had no score; the interval is that of
            the others.
    """

    thresholds: tuple[float, ...]
    answers: NDArray[Any]
    folds: tuple[JudgedClassFold, ...]
    undefined_samples: int = 0


@dataclass(frozen=True)
class Judge:
    """A metric, what it takes, and how thresholds are chosen for it."""

    metric: str | ClassMetric
    takes: Takes
    greater_is_better: bool = True

    def score(self, targets: ClassTargets, rows: NDArray[Any], answers: NDArray[Any]) -> float:
        """Return the score of some images, higher is better only if the metric says so.

        Args:
            targets: of all images.
            rows: which images, (M,) numbers or (N,) booleans.
            answers: (N, ...) of all images, as the metric gets them.
        """
        if callable(self.metric):
            return float(self.metric(targets.truth[rows], answers[rows]))
        probability = np.asarray(answers[rows])
        if self.takes == "labels":
            known = np.asarray(targets.names)
            exclusive = targets.kind == "exclusive"
            probability = known == probability[:, None] if exclusive else probability
        return class_metric_score(
            self.metric,
            targets.flags[rows].astype(np.uint8),
            probability.reshape(-1, targets.flags.shape[1]).astype(np.float64),
            exclusive=targets.kind == "exclusive",
        )

    def thresholds(self, targets: ClassTargets, rows: Flags) -> tuple[float, ...]:
        """Return the thresholds (C,) that are best on some images, () where none are chosen."""
        exclusive = targets.kind == "exclusive"
        if self.takes == "probabilities" or (exclusive and targets.flags.shape[1] > 2):
            return ()
        flags, probability = targets.flags[rows], targets.probability[rows]
        if isinstance(self.metric, str):
            return tuple(best_thresholds(flags, probability, self.metric, exclusive=exclusive))
        sign = 1.0 if self.greater_is_better else -1.0

        def score(limits: list[float]) -> float:
            return sign * self.score(targets, rows, answers_of(targets, tuple(limits)))

        return tuple(coordinate_thresholds(score, probability, exclusive=exclusive))


def answers_of(targets: ClassTargets, thresholds: tuple[float, ...]) -> NDArray[Any]:
    """Return the predicted classes of all images in the form of their targets."""
    exclusive = targets.kind == "exclusive"
    return targets.answers(decide(targets.probability, exclusive, thresholds or None))


def make_judge(metric: str | ClassMetric, takes: Takes | None, greater_is_better: bool) -> Judge:
    """Return the judge of a metric.

    Raises:
        InputError: there is no such metric, or it takes something else.
    """
    if takes not in (None, "labels", "probabilities"):
        raise InputError(f"expected takes = 'labels' or 'probabilities', found {takes!r}.")
    if callable(metric):
        return Judge(metric, takes or "labels", greater_is_better)
    own = class_kind(require_metric(metric, names_of(ClassMetricName)).name).takes
    if takes not in (None, own):
        raise InputError(f"metric {metric!r} takes {own}, not {takes}; leave takes out.")
    return Judge(metric, own)


def score_classes(
    targets: ClassTargets, parts: Parts, judge: Judge, *, samples: int, seed: int
) -> ClassScore:
    """Return the cross-fitted score of class probabilities.

    Args:
        targets: of N images.
        parts: which images are judged together.
        judge: the metric.
        samples: resamplings of groups behind the interval.
        seed: of the resampling.
    """
    everything = np.ones(len(targets.flags), bool)
    thresholds = judge.thresholds(targets, everything)
    by_labels = judge.takes == "labels"
    whole = answers_of(targets, thresholds) if by_labels else targets.scores
    answers, folds = whole.copy(), []
    for part in np.unique(parts.of_image):
        here = parts.of_image == part
        limits = judge.thresholds(targets, ~here)
        if by_labels:
            answers[here] = answers_of(targets, limits)[here]
        score = _score_or_nan(judge, targets, np.flatnonzero(here), answers)
        folds.append(JudgedClassFold(parts.name(int(part)), int(here.sum()), limits, score))
    interval, undefined = _interval(judge, targets, answers, parts, samples, seed)
    return ClassScore(
        honest=judge.score(targets, everything, answers),
        interval=interval,
        optimistic=judge.score(targets, everything, whole),
        thresholds=thresholds,
        answers=answers,
        folds=tuple(folds),
        undefined_samples=undefined,
    )


def _score_or_nan(
    judge: Judge, targets: ClassTargets, rows: NDArray[np.int64], answers: NDArray[Any]
) -> float:
    """Return a score, NaN where the metric has none of these images."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of classes that these images lack
        try:
            return judge.score(targets, rows, answers)
        except ValueError:  # what scikit-learn raises where a class is missing
            return float("nan")


def _interval(
    judge: Judge,
    targets: ClassTargets,
    answers: NDArray[Any],
    parts: Parts,
    samples: int,
    seed: int,
) -> tuple[Interval, int]:
    """Return the interval when whole groups are drawn again, and how many have no score."""
    rng = np.random.default_rng(seed)
    order = np.argsort(parts.group_numbers, kind="stable")
    count = int(parts.group_numbers.max()) + 1
    members = np.split(order, np.cumsum(np.bincount(parts.group_numbers))[:-1])
    scores = np.empty(samples)
    for sample in range(samples):
        rows = np.concatenate([members[group] for group in rng.integers(0, count, count)])
        scores[sample] = _score_or_nan(judge, targets, rows, answers)
    low, high = known_bounds(scores, INTERVAL_LEVEL)
    undefined = int(np.isnan(scores).sum())
    return Interval(low, high, INTERVAL_LEVEL, samples, count, seed), undefined
