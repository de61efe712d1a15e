"""Blends of class probabilities, thresholds, and what to expect of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_metric import decide
from goldfold.competitions.class_metric_score import class_scorer
from goldfold.competitions.class_metric_table import class_kind
from goldfold.ensemble.calibration import class_curves
from goldfold.ensemble.calibration_curve import Curve
from goldfold.ensemble.class_merge import merge_probabilities
from goldfold.ensemble.class_truth import Scorable, Truth, targets_of
from goldfold.ensemble.fitted_blend import FittedBlend, calibrated
from goldfold.ensemble.stacking import stack_classes, stack_shares
from goldfold.ensemble.weights import choose_weights
from goldfold.folds.parts import names_of, refuse_judging
from goldfold.vocabulary import Stacking
from goldfold.vocabulary import names_of as vocabulary_names

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Targets = NDArray[np.uint8]


class ClassObjective:
    """The score of a blend of members, for the search of weights.

    Attributes:
        image_ids: (N,) of the images that it looks at.
    """

    def __init__(self, members: Sequence[FloatArray], truth: Scorable, merge: str) -> None:
        """Take M members (N, C) and the truth."""
        self._members, self._truth, self._merge = list(members), truth, merge
        self._known: dict[tuple[int, ...], float] = {}
        self.image_ids = truth.names

    @property
    def members(self) -> int:
        """Return how many members there are."""
        return len(self._members)

    def __call__(self, weights: Sequence[int]) -> float:
        """Return the score of a blend, raised to 0 and more by exp where it is a loss."""
        key = tuple(weights)
        if key not in self._known:
            blend = merge_probabilities(
                self._members, weights, self._merge, exclusive=self._truth.exclusive
            )
            score = self._truth.best_score(blend)
            self._known[key] = float(np.exp(score)) if score < 0 else score
        return self._known[key]


def best_thresholds(truth: Truth, probability: FloatArray) -> list[float]:
    """Return the threshold of each class that is best on these images.

    Of two exclusive classes only the second has one; of more than two the most likely class
    counts, whatever the thresholds.

    Args:
        truth: of N images.
        probability: (N, C).
    """
    return truth.thresholds(probability)


@dataclass(frozen=True)
class JudgedClasses:
    """Probabilities of images, each judged by what was chosen on the other folds.

    Attributes:
        probability: (N, C).
        predicted: (N, C) by thresholds that were chosen without the image's fold.
        honest: score of both.
        folds: by fold, images and honest score.
    """

    probability: FloatArray
    predicted: NDArray[np.bool_]
    honest: float
    folds: dict[int, tuple[int, float]]


@dataclass(frozen=True)
class ClassBlend:
    """Blended probabilities, and the images on which the blend was chosen.

    Attributes:
        probability: (N, C).
        chosen_on: ids; none where nothing was chosen on any image.
        blend: what was chosen, None where the blend was given.
    """

    probability: FloatArray
    chosen_on: Sequence[str] | NDArray[np.str_] = ()
    blend: FittedBlend | None = None

    @property
    def weights(self) -> tuple[int, ...]:
        """Of each member; none where the blend was given."""
        return () if self.blend is None else self.blend.weights


class ClassBlends:
    """Blends of members, with calibration and weights chosen on any of the images."""

    def __init__(
        self,
        members: Sequence[FloatArray],
        truth: Scorable,
        merge: str,
        weights: str | Sequence[int],
        calibration: str = "none",
    ) -> None:
        """Take what is blended.

        Args:
            members: M arrays (N, C) of out-of-fold probabilities.
            truth: of the N images.
            merge: on what members are averaged.
            weights: a way to choose them, or their values.
            calibration: of each member before it is merged.
        """
        self._members, self._truth, self._merge, self._weights = members, truth, merge, weights
        self._calibration = calibration

    def chosen_on(self, which: NDArray[np.bool_]) -> ClassBlend:
        """Return the blend of all images whose weights were chosen on some of them, (N,)."""
        blend, looked_at = self._choose(which)
        return ClassBlend(blend(self._members), looked_at, blend)

    def _choose(self, which: NDArray[np.bool_]) -> tuple[FittedBlend, NDArray[np.str_]]:
        """Return what is chosen on some images, and the ids that the choice looked at."""
        truth, exclusive = self._truth.of(which), self._truth.exclusive
        own = [table[which] for table in self._members]
        curves: tuple[tuple[Curve, ...], ...] = ()
        if self._calibration != "none":
            curves = tuple(
                class_curves(table, targets_of(truth), self._calibration) for table in own
            )
            own = [
                calibrated(table, of_member, exclusive=exclusive)
                for table, of_member in zip(own, curves, strict=True)
            ]
        if not isinstance(self._weights, str):
            looked_at = truth.names if curves else names_of([], 0)
            return FittedBlend(self._merge, tuple(self._weights), exclusive, curves), looked_at
        if self._weights in vocabulary_names(Stacking):
            stack = stack_classes(self._weights, own, targets_of(truth), exclusive=exclusive)
            shares = tuple(stack_shares(stack))
            return FittedBlend(self._merge, shares, exclusive, curves, stack), truth.names
        objective = ClassObjective(own, truth, self._merge)
        weights = tuple(choose_weights(self._weights, objective))
        return FittedBlend(self._merge, weights, exclusive, curves), objective.image_ids


def cross_fit_probabilities(
    truth: Truth, parts: IntArray, blend_by: Callable[[NDArray[np.bool_]], ClassBlend]
) -> JudgedClasses:
    """Return probabilities with thresholds that were chosen on the other parts.

    Args:
        truth: of N images.
        parts: (N,) fold of each image, or part of the only fold.
        blend_by: (N,) images to choose on -> the blend of all images; always the same one where
            nothing but thresholds is chosen.

    Raises:
        LeakError: weights or thresholds would judge images on which they were chosen.
    """
    probability = np.empty(truth.targets.shape)
    predicted = np.zeros(truth.targets.shape, bool)
    folds = {}
    for part in np.unique(parts):
        here = parts == part
        others, own = truth.of(~here), truth.of(here)
        blend = blend_by(~here)
        refuse_judging("blend weights", int(part), blend.chosen_on, own.names)
        refuse_judging("thresholds", int(part), others.names, own.names)
        limits = best_thresholds(others, blend.probability[~here])
        its = blend.probability[here]
        probability[here] = its
        predicted[here] = decide(its, truth.exclusive, limits)
        folds[int(part)] = (int(here.sum()), own.reported_score(its, limits))
    honest = honest_score(truth, probability, predicted)
    return JudgedClasses(probability, predicted, honest, folds)


@dataclass(frozen=True)
class ClassAssessment:
    """What to expect of a blend of class probabilities.

    Attributes:
        blend: of the members, chosen on all images.
        thresholds: (C,), chosen on all images.
        probability: (N, C) honest blend: the weights of an image were chosen without its fold.
        predicted: (N, C) by thresholds that were chosen without its fold.
        honest: score of both.
        optimistic: score of the blend and thresholds chosen on these images.
        constant: score of the classes' frequencies, without looking.
        folds: by fold, images and honest score.
    """

    blend: FittedBlend
    thresholds: list[float]
    probability: FloatArray
    predicted: NDArray[np.bool_]
    honest: float
    optimistic: float
    constant: float
    folds: dict[int, tuple[int, float]]

    @property
    def weights(self) -> list[int]:
        """Return the weights of the members."""
        return list(self.blend.weights)


def assess_class_probabilities(
    members: Sequence[FloatArray],
    truth: Truth,
    parts: IntArray,
    *,
    merge: str,
    weights: str | Sequence[int],
    calibration: str = "none",
) -> ClassAssessment:
    """Return blend and thresholds chosen on all images, judged by those chosen on the other parts.

    Args:
        members: M arrays (N, C) of out-of-fold probabilities.
        truth: of the N images.
        parts: (N,) fold of each image, or part of the only fold.
        merge: on what members are averaged.
        weights: a way to choose them, or their values.
        calibration: of each member before it is merged.

    Raises:
        LeakError: as in `cross_fit_probabilities`.
    """
    blends = ClassBlends(members, truth, merge, weights, calibration)
    chosen = blends.chosen_on(np.ones(len(parts), bool))
    whole = chosen.probability
    assert chosen.blend is not None
    thresholds = best_thresholds(truth, whole)
    judged = cross_fit_probabilities(truth, parts, blends.chosen_on)
    frequency = np.broadcast_to(truth.targets.mean(axis=0), whole.shape)
    return ClassAssessment(
        blend=chosen.blend,
        thresholds=thresholds,
        probability=judged.probability,
        predicted=judged.predicted,
        honest=judged.honest,
        optimistic=truth.reported_score(whole, thresholds),
        constant=truth.reported_score(np.array(frequency)),
        folds=judged.folds,
    )


def honest_score(truth: Truth, probability: FloatArray, predicted: NDArray[np.bool_]) -> float:
    """Return the score of images of which each has its own thresholds, as it is reported.

    Args:
        truth: of N images.
        probability: (N, C).
        predicted: (N, C) what the thresholds made of it.
    """
    return truth.reported_score(_what_is_scored(truth, probability, predicted))


def resampled_scorer(
    truth: Truth, probability: FloatArray, predicted: NDArray[np.bool_]
) -> Callable[[FloatArray | None], float]:
    """Return what scores images that are drawn again, by weights (N,): how often each was drawn.

    Without weights it is the `honest_score`, up to rounding.

    Args:
        truth: of N images.
        probability: (N, C).
        predicted: (N, C) what the thresholds made of it.
    """
    return class_scorer(
        truth.metric,
        truth.targets,
        _what_is_scored(truth, probability, predicted),
        exclusive=truth.exclusive,
        class_weights=truth.class_weights,
    )


def _what_is_scored(
    truth: Truth, probability: FloatArray, predicted: NDArray[np.bool_]
) -> FloatArray:
    """Return what the metric looks at, (N, C): yes and no as 1 and 0, or the probabilities."""
    by_labels = class_kind(truth.metric).takes == "labels"
    return predicted.astype(float) if by_labels else probability
