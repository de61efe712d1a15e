"""Blends of class probabilities, thresholds, and what to expect of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_measures import reported_score
from goldfold.competitions.label_metric import HALF, decide, label_score, scored_classes
from goldfold.ensemble.label_merge import merge_labels
from goldfold.ensemble.label_threshold import best_threshold
from goldfold.ensemble.weights import choose_weights
from goldfold.folds.parts import names_of, refuse_judging

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Targets = NDArray[np.uint8]


@dataclass(frozen=True)
class Truth:
    """What is true of images, and how it is scored.

    Attributes:
        targets: (N, C) of 0 and 1.
        classes: C names.
        exclusive: exactly one class an image.
        metric: name of a metric of classes.
        class_weights: (C,) of the logarithmic loss.
        image_ids: (N,) ids, by which leaks are found and named; places from 0 unless given.
    """

    targets: Targets
    classes: tuple[str, ...]
    exclusive: bool
    metric: str
    class_weights: tuple[float, ...]
    image_ids: Sequence[str] | None = None

    @property
    def names(self) -> NDArray[np.str_]:
        """The ids of the images, (N,)."""
        return names_of(self.image_ids, len(self.targets))

    def of(self, which: NDArray[np.bool_]) -> Truth:
        """Return the truth of some of the images."""
        return replace(self, targets=self.targets[which], image_ids=self.names[which].tolist())

    def score(
        self,
        probability: FloatArray,
        thresholds: Sequence[float] | None = None,
        weights: FloatArray | None = None,
    ) -> float:
        """Return the score of probabilities (N, C), as searches and resampling compute it."""
        return label_score(
            self.metric,
            self.targets,
            probability,
            exclusive=self.exclusive,
            class_weights=self.class_weights,
            thresholds=thresholds,
            weights=weights,
        )

    def reported_score(
        self, probability: FloatArray, thresholds: Sequence[float] | None = None
    ) -> float:
        """Return the score of probabilities (N, C), as scikit-learn computes it."""
        return reported_score(
            self.metric,
            self.targets,
            probability,
            exclusive=self.exclusive,
            class_weights=self.class_weights,
            thresholds=thresholds,
        )


class Scorable(Protocol):
    """What is true of images, as far as a blend of rows needs to know: `Truth`, or of numbers."""

    @property
    def exclusive(self) -> bool:
        """Whether rows sum to one."""

    @property
    def names(self) -> NDArray[np.str_]:
        """The ids of the images, (N,)."""

    def of(self, which: NDArray[np.bool_]) -> Scorable:
        """Return the truth of some of the images."""

    def score(self, probability: FloatArray) -> float:
        """Return the score of rows (N, C); higher is better."""


class LabelObjective:
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
            blend = merge_labels(
                self._members, weights, self._merge, exclusive=self._truth.exclusive
            )
            score = self._truth.score(blend)
            self._known[key] = float(np.exp(score)) if score < 0 else score
        return self._known[key]


def best_thresholds(truth: Truth, probability: FloatArray) -> list[float]:
    """Return the threshold of each class that is best on these images.

    Each is `best_threshold` of its class. Of two exclusive classes only the second has one; of
    more than two the most likely class counts, whatever the thresholds.

    Args:
        truth: of N images.
        probability: (N, C).
    """
    thresholds = [HALF] * len(truth.classes)
    if truth.exclusive and len(truth.classes) > 2:
        return thresholds  # the most likely class counts
    for place in scored_classes(len(truth.classes), truth.exclusive):
        thresholds[place] = best_threshold(
            truth.targets[:, place] > 0, probability[:, place], truth.metric
        )
    return thresholds


@dataclass(frozen=True)
class JudgedLabels:
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
class LabelBlend:
    """Blended probabilities, and the images on which the weights of the blend were chosen.

    Attributes:
        probability: (N, C).
        chosen_on: ids; none where the weights were not chosen on any image.
        weights: of the members.
    """

    probability: FloatArray
    chosen_on: Sequence[str] | NDArray[np.str_] = ()
    weights: Sequence[int] = ()


class LabelBlends:
    """Blends of members, with weights chosen on any of the images."""

    def __init__(
        self,
        members: Sequence[FloatArray],
        truth: Scorable,
        merge: str,
        weights: str | Sequence[int],
    ) -> None:
        """Take what is blended.

        Args:
            members: M arrays (N, C) of out-of-fold probabilities.
            truth: of the N images.
            merge: on what members are averaged.
            weights: a way to choose them, or their values.
        """
        self._members, self._truth, self._merge, self._weights = members, truth, merge, weights

    def chosen_on(self, which: NDArray[np.bool_]) -> LabelBlend:
        """Return the blend of all images whose weights were chosen on some of them, (N,)."""
        weights, looked_at = self._choose(which)
        merged = merge_labels(self._members, weights, self._merge, exclusive=self._truth.exclusive)
        return LabelBlend(merged, looked_at, weights)

    def _choose(self, which: NDArray[np.bool_]) -> tuple[list[int], NDArray[np.str_]]:
        """Return weights and the images that they were chosen on."""
        if not isinstance(self._weights, str):
            return list(self._weights), names_of([], 0)
        own = [one[which] for one in self._members]
        objective = LabelObjective(own, self._truth.of(which), self._merge)
        return choose_weights(self._weights, objective), objective.image_ids


def cross_fit_labels(
    truth: Truth, parts: IntArray, blend_by: Callable[[NDArray[np.bool_]], LabelBlend]
) -> JudgedLabels:
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
    return JudgedLabels(probability, predicted, honest, folds)


@dataclass(frozen=True)
class LabelAssessment:
    """What to expect of a blend of class probabilities.

    Attributes:
        weights: of the members, chosen on all images.
        thresholds: (C,), chosen on all images.
        probability: (N, C) honest blend: the weights of an image were chosen without its fold.
        predicted: (N, C) by thresholds that were chosen without its fold.
        honest: score of both.
        optimistic: score of the blend and thresholds chosen on these images.
        constant: score of the classes' frequencies, without looking.
        folds: by fold, images and honest score.
    """

    weights: list[int]
    thresholds: list[float]
    probability: FloatArray
    predicted: NDArray[np.bool_]
    honest: float
    optimistic: float
    constant: float
    folds: dict[int, tuple[int, float]]


def assess_labels(
    members: Sequence[FloatArray],
    truth: Truth,
    parts: IntArray,
    *,
    merge: str,
    weights: str | Sequence[int],
) -> LabelAssessment:
    """Return blend and thresholds chosen on all images, judged by those chosen on the other parts.

    Args:
        members: M arrays (N, C) of out-of-fold probabilities.
        truth: of the N images.
        parts: (N,) fold of each image, or part of the only fold.
        merge: on what members are averaged.
        weights: a way to choose them, or their values.

    Raises:
        LeakError: as in `cross_fit_labels`.
    """
    blends = LabelBlends(members, truth, merge, weights)
    chosen = blends.chosen_on(np.ones(len(parts), bool))
    whole = chosen.probability
    thresholds = best_thresholds(truth, whole)
    judged = cross_fit_labels(truth, parts, blends.chosen_on)
    frequency = np.broadcast_to(truth.targets.mean(axis=0), whole.shape)
    return LabelAssessment(
        weights=list(chosen.weights),
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


def resampled_score(
    truth: Truth, probability: FloatArray, predicted: NDArray[np.bool_], weights: FloatArray
) -> float:
    """Return the `honest_score` of images that are drawn again, each as often as it was drawn.

    Args:
        truth: of N images.
        probability: (N, C).
        predicted: (N, C) what the thresholds made of it.
        weights: (N,) how often each image was drawn.
    """
    return truth.score(_what_is_scored(truth, probability, predicted), weights=weights)


def _what_is_scored(
    truth: Truth, probability: FloatArray, predicted: NDArray[np.bool_]
) -> FloatArray:
    return predicted.astype(float) if truth.metric in ("accuracy", "f1") else probability
