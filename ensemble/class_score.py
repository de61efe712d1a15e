"""The honest score of the user's own class probabilities, under any metric."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_metric import HALF, class_metric_score, decide
from goldfold.ensemble.class_intervals import known_bounds
from goldfold.ensemble.class_targets import ClassTargets
from goldfold.ensemble.class_threshold import best_threshold, threshold_candidates
from goldfold.ensemble.cross_fitted import HonestScore, Parts
from goldfold.ensemble.honest import INTERVAL_LEVEL, Interval
from goldfold.errors import InputError, did_you_mean
from goldfold.settings_competition import CLASS_METRICS

ClassMetric = Callable[[NDArray[Any], NDArray[Any]], float]
"""Targets and answers (or probabilities), in this order -> score of all images together."""
Takes = Literal["labels", "probabilities"]
FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_CANDIDATES = 128
"""Thresholds of a class that are tried with a metric of one's own."""
_ROUNDS = 3
"""Passes over the classes, one threshold at a time."""


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
        classes = targets.flags.shape[1]
        exclusive = targets.kind == "exclusive"
        if self.takes == "probabilities" or (exclusive and classes > 2):
            return ()
        places = [1] if exclusive else list(range(classes))
        limits = [HALF] * classes
        if isinstance(self.metric, str):
            for place in places:
                chosen = targets.flags[rows, place], targets.probability[rows, place]
                limits[place] = best_threshold(*chosen, self.metric)
            return tuple(limits)
        for _ in range(_ROUNDS if len(places) > 1 else 1):
            before = list(limits)
            for place in places:
                limits[place] = self._best_of_class(targets, rows, limits, place)
            if limits == before:
                break
        return tuple(limits)

    def _best_of_class(
        self, targets: ClassTargets, rows: Flags, limits: list[float], place: int
    ) -> float:
        """Return one class's best threshold beside those of the others; of equals, nearest 1/2."""
        candidates, _ = threshold_candidates(targets.probability[rows, place])
        if candidates.size > MOST_CANDIDATES:
            spread = np.linspace(0, candidates.size - 1, MOST_CANDIDATES).round().astype(np.int64)
            candidates = candidates[spread]
        sign = 1.0 if self.greater_is_better else -1.0
        scores = []
        for limit in candidates:
            trial = [*limits[:place], float(limit), *limits[place + 1 :]]
            scores.append(sign * self.score(targets, rows, answers_of(targets, tuple(trial))))
        best = np.flatnonzero(np.array(scores) == np.nanmax(scores))
        return float(candidates[best[np.argmin(np.abs(candidates[best] - HALF))]])


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
    if metric not in CLASS_METRICS:
        raise InputError(
            f"unknown metric of classes {metric!r}; there are {', '.join(CLASS_METRICS)}, or pass "
            f"a function such as sklearn.metrics.f1_score.{did_you_mean(metric, CLASS_METRICS)}"
        )
    own: Takes = "labels" if metric in ("accuracy", "f1") else "probabilities"
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
