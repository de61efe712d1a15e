"""The metrics of classes: what each takes, how it is computed, how files are compared by it.

A new metric is a function here, its name in `goldfold.vocabulary.ClassMetric`, its threshold curve
in `class_threshold` where it takes labels, and its reported score in `class_measures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_metric import (
    confusion_counts,
    f1,
    log_losses,
    right_images,
    scored_classes,
)
from goldfold.competitions.own_metric import own_class_score, takes_labels
from goldfold.competitions.ranked import Ranked
from goldfold.metric_names import MetricCall, require_metric
from goldfold.own_code import is_reference
from goldfold.vocabulary import ClassMetric, names_of

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]
Weights = FloatArray | None
Scorer = Callable[[Weights], float]
"""Weights (N,) of the images -> the score; NaN where it has no meaning."""
Takes = Literal["labels", "probabilities"]
Agreement = Literal["equal labels", "rank correlation", "1 - mean difference"]
NAN = float("nan")


@dataclass(frozen=True)
class ClassAnswers:
    """What is true of N images, and what is said of them.

    Attributes:
        call: the metric and its parameters.
        targets: (N, C) of 0 and 1.
        probability: (N, C).
        predicted: (N, C) by thresholds.
        certain: thresholds were given, so that metrics of graded answers see yes and no.
        exclusive: each image has exactly one class.
        class_weights: (C,).
    """

    call: MetricCall
    targets: NDArray[np.uint8]
    probability: FloatArray
    predicted: Flags
    certain: bool
    exclusive: bool
    class_weights: FloatArray

    @property
    def places(self) -> list[int]:
        """The classes that are scored: of two exclusive ones only the second."""
        return scored_classes(self.targets.shape[1], self.exclusive)

    @property
    def graded(self) -> FloatArray:
        """The probabilities, or 0 and 1 where thresholds were given, (N, C)."""
        return self.predicted.astype(np.float64) if self.certain else self.probability


@dataclass(frozen=True)
class ClassMetricKind:
    """What is known of a metric of classes.

    Attributes:
        takes: labels, for which thresholds are chosen, or probabilities.
        scorer: what computes it under weights of the images; it sorts or compares only once.
        agreement: how two submissions are compared.
        at_best: checkpoints and blends are ranked at the thresholds that are best for them, not at
            one half.
        of_images: the score of each image, (N,), where the metric is their mean.
    """

    takes: Takes
    scorer: Callable[[ClassAnswers], Scorer]
    agreement: Agreement
    at_best: bool = False
    of_images: Callable[[ClassAnswers], FloatArray] | None = None


def _mean_known(values: Sequence[float] | FloatArray, weights: FloatArray) -> float:
    """Return the weighted mean of the values that have a meaning."""
    known = ~np.isnan(np.asarray(values))
    if not known.any() or not weights[known].sum() > 0:
        return NAN
    return float(np.average(np.asarray(values)[known], weights=weights[known]))


def _accuracy_of_images(answers: ClassAnswers) -> FloatArray:
    return right_images(answers.targets, answers.predicted, answers.exclusive)


def _losses_of_images(answers: ClassAnswers) -> FloatArray:
    weights = answers.class_weights.tolist()
    return log_losses(answers.targets, answers.probability, answers.exclusive, weights)


def _accuracy(answers: ClassAnswers) -> Scorer:
    right = _accuracy_of_images(answers)
    return lambda weights: float(np.average(right, weights=weights))


def _neg_log_loss(answers: ClassAnswers) -> Scorer:
    losses = _losses_of_images(answers)
    return lambda weights: -float(np.average(losses, weights=weights))


def _f1(answers: ClassAnswers) -> Scorer:
    """F1 of the positive class of two exclusive ones, else the mean over classes."""
    weights_of = answers.class_weights
    return lambda weights: f1(
        answers.targets, answers.predicted, answers.exclusive, weights, weights_of
    )


def _macro_f1(answers: ClassAnswers) -> Scorer:
    """The mean F1 over all classes, both of two exclusive ones."""
    weights_of = answers.class_weights
    return lambda weights: f1(answers.targets, answers.predicted, False, weights, weights_of)


def _micro_f1(answers: ClassAnswers) -> Scorer:
    """F1 of the pairs of image and class; the accuracy where classes are exclusive."""

    def score(weights: Weights) -> float:
        counts = confusion_counts(answers.targets > 0, answers.predicted, weights)
        both, only_predicted, only_true, _ = counts.sum(axis=0)
        total = 2 * both + only_predicted + only_true
        return float(2 * both / total) if total else 0.0

    return score


def _balanced_accuracy(answers: ClassAnswers) -> Scorer:
    """The mean recall over exclusive classes; else the mean over classes of that of yes and no."""

    def score(weights: Weights) -> float:
        counts = confusion_counts(answers.targets > 0, answers.predicted, weights)
        both, only_predicted, only_true, neither = counts.T
        recall = _shares(both, both + only_true)
        if answers.exclusive:
            return _mean_known(recall, answers.class_weights)
        of_no = _shares(neither, neither + only_predicted)
        pairs = [_mean_known(pair, np.ones(2)) for pair in zip(recall, of_no, strict=True)]
        return _mean_known(pairs, answers.class_weights)

    return score


def _shares(above: FloatArray, below: FloatArray) -> FloatArray:
    shares: FloatArray = np.full(len(below), np.nan)
    np.divide(above, below, out=shares, where=below > 0)
    return shares


def _pf_beta(answers: ClassAnswers) -> Scorer:
    """The probabilistic F-beta: (1 + b2) ctp / (b2 T + ctp + cfp), the mean over classes.

    ctp is the sum of the probabilities of the T images of the class, cfp that of the others.

    Source: RSNA Screening Mammography Breast Cancer Detection, evaluation page (2022); Yacouby and
    Axman, "Probabilistic extension of precision, recall, and F1 score", Eval4NLP 2020.
    """
    square = answers.call.number("beta") ** 2
    truth, said = answers.targets[:, answers.places] > 0, answers.graded[:, answers.places]
    weights_of = answers.class_weights[answers.places]

    def score(weights: Weights) -> float:
        weight = np.ones(len(truth)) if weights is None else weights
        right, all_said, true = weight @ (truth * said), weight @ said, weight @ truth
        scores = [
            (1 + square) * both / below if (below := square * positive + total) > 0 else 0.0
            for both, total, positive in zip(right, all_said, true, strict=True)
        ]
        return _mean_known(scores, weights_of)

    return score


def _ranked(answers: ClassAnswers) -> list[Ranked]:
    return [
        Ranked(answers.targets[:, place] > 0, answers.probability[:, place])
        for place in answers.places
    ]


def _auroc(answers: ClassAnswers) -> Scorer:
    ranked, weights_of = _ranked(answers), answers.class_weights[answers.places]
    return lambda weights: _mean_known([ranking.auroc(weights) for ranking in ranked], weights_of)


def _weighted_auroc(answers: ClassAnswers) -> Scorer:
    """The mean over classes, each weighed by its images."""
    ranked, truth = _ranked(answers), answers.targets[:, answers.places] > 0

    def score(weights: Weights) -> float:
        weight = np.ones(len(truth)) if weights is None else weights
        areas = [ranking.auroc(weights) for ranking in ranked]
        return _mean_known(areas, np.asarray(weight @ truth, np.float64))

    return score


def _mean_average_precision(answers: ClassAnswers) -> Scorer:
    ranked, weights_of = _ranked(answers), answers.class_weights[answers.places]

    def score(weights: Weights) -> float:
        return _mean_known([ranking.average_precision(weights) for ranking in ranked], weights_of)

    return score


KINDS: Mapping[str, ClassMetricKind] = MappingProxyType(
    {
        "accuracy": ClassMetricKind(
            "labels", _accuracy, "equal labels", of_images=_accuracy_of_images
        ),
        "balanced-accuracy": ClassMetricKind("labels", _balanced_accuracy, "equal labels", True),
        "f1": ClassMetricKind("labels", _f1, "equal labels"),
        "macro-f1": ClassMetricKind("labels", _macro_f1, "equal labels", True),
        "micro-f1": ClassMetricKind("labels", _micro_f1, "equal labels", True),
        "pf-beta": ClassMetricKind("labels", _pf_beta, "equal labels", True),
        "auroc": ClassMetricKind("probabilities", _auroc, "rank correlation"),
        "weighted-auroc": ClassMetricKind("probabilities", _weighted_auroc, "rank correlation"),
        "mean-average-precision": ClassMetricKind(
            "probabilities", _mean_average_precision, "rank correlation"
        ),
        "neg-log-loss": ClassMetricKind(
            "probabilities",
            _neg_log_loss,
            "1 - mean difference",
            of_images=lambda answers: -_losses_of_images(answers),
        ),
    }
)
"""By name."""


def class_kind(metric: str) -> ClassMetricKind:
    """Return what is known of a metric of classes, among them one of the user's own.

    Raises:
        InputError: there is no such metric.
    """
    if not is_reference(metric):
        return KINDS[require_metric(metric, names_of(ClassMetric)).name]
    labels = takes_labels(metric)

    def scorer(answers: ClassAnswers) -> Scorer:
        said = answers.predicted.astype(np.uint8) if labels else answers.probability
        return lambda weights: own_class_score(metric, answers.targets, said, weights)

    if labels:
        return ClassMetricKind("labels", scorer, "equal labels", True)
    return ClassMetricKind("probabilities", scorer, "1 - mean difference")
