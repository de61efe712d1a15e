"""Blends of predicted numbers, cut points of grades, and what to expect of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.number_metric import (
    best_constant,
    number_score,
    reported_number_score,
)
from goldfold.ensemble.class_blend import ClassBlend, ClassBlends
from goldfold.ensemble.class_intervals import known_bounds
from goldfold.ensemble.cut_points import best_cuts, to_grades
from goldfold.ensemble.intervals import INTERVAL_LEVEL
from goldfold.ensemble.number_scale import NumberScale
from goldfold.folds.parts import names_of, refuse_judging

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class NumberTruth:
    """The true numbers of images, and how they are scored.

    Attributes:
        numbers: (N,) float64; of grades whole numbers from 0.
        scale: of the numbers.
        metric: name of a metric of grades or numbers.
        image_ids: (N,) ids, by which leaks are found and named.
        exclusive: False; rows of one number need not sum to one.
    """

    numbers: FloatArray
    scale: NumberScale
    metric: str
    image_ids: Sequence[str] | None = None
    exclusive: bool = False

    @property
    def names(self) -> NDArray[np.str_]:
        """The ids of the images, (N,)."""
        return names_of(self.image_ids, len(self.numbers))

    @property
    def grades(self) -> int:
        """How many grades there are, 0 for numbers."""
        return len(self.scale.grades)

    def of(self, which: Flags) -> NumberTruth:
        """Return the truth of some of the images."""
        return replace(self, numbers=self.numbers[which], image_ids=self.names[which].tolist())

    def best_score(self, probability: FloatArray) -> float:
        """Return the score of places (N, 1) at the cut points that are best for them."""
        place = probability[:, 0]
        said = self.decide(place, self.cuts(place))
        return number_score(self.metric, self.numbers, said, grades=self.grades)

    def cuts(self, place: FloatArray) -> FloatArray:
        """Return the best cut points on these images, rising places; none without grades."""
        if not self.scale.grades:
            return np.zeros(0)
        truth = np.rint(self.numbers).astype(np.int64)
        return best_cuts(truth, place, self.metric, len(self.scale.grades))

    def decide(self, place: FloatArray, cuts: FloatArray) -> FloatArray:
        """Return the predicted grades, whole numbers from 0, or the numbers themselves, (N,)."""
        return decide_numbers(self.scale, place, cuts)

    def reported(self, predicted: FloatArray) -> float:
        """Return the score of predictions (N,), as scikit-learn computes it."""
        return reported_number_score(self.metric, self.numbers, predicted, self.grades)

    def constant(self) -> float:
        """Return the score of the one prediction that is best for all images."""
        best = best_constant(self.metric, self.numbers, self.grades)
        same = np.full(len(self.numbers), best)
        return self.reported(same)


def decide_numbers(scale: NumberScale, place: FloatArray, cuts: FloatArray) -> FloatArray:
    """Return the predicted grades, whole numbers from 0, or the numbers themselves, (N,).

    Args:
        scale: of the numbers.
        place: (N,).
        cuts: (C - 1,) rising places.
    """
    return to_grades(place, cuts) if scale.grades else scale.number(place)


@dataclass(frozen=True)
class JudgedNumbers:
    """Predictions of images, each judged by what was chosen on the other folds.

    Attributes:
        place: (N,) blended.
        predicted: (N,) grades by cut points that were chosen without the image's fold, or numbers.
        honest: score of them.
        folds: by fold, images and honest score.
    """

    place: FloatArray
    predicted: FloatArray
    honest: float
    folds: dict[int, tuple[int, float]]


def cross_fit_numbers(
    truth: NumberTruth, parts: IntArray, blend_by: Callable[[Flags], ClassBlend]
) -> JudgedNumbers:
    """Return predictions by cut points that were chosen on the other parts.

    Args:
        truth: of N images.
        parts: (N,) fold of each image, or part of the only fold.
        blend_by: (N,) images to choose on -> the blend of all images, places (N, 1).

    Raises:
        LeakError: weights or cut points would judge images on which they were chosen.
    """
    place, predicted = np.empty(len(parts)), np.empty(len(parts))
    folds = {}
    for part in np.unique(parts):
        here = parts == part
        others, own = truth.of(~here), truth.of(here)
        blend = blend_by(~here)
        refuse_judging("blend weights", int(part), blend.chosen_on, own.names)
        refuse_judging("cut points", int(part), others.names, own.names)
        blended = blend.probability[:, 0]
        cuts = others.cuts(blended[~here])
        place[here] = blended[here]
        predicted[here] = own.decide(blended[here], cuts)
        folds[int(part)] = (int(here.sum()), own.reported(predicted[here]))
    return JudgedNumbers(place, predicted, truth.reported(predicted), folds)


@dataclass(frozen=True)
class NumberAssessment:
    """A blend of numbers and its scores.

    Attributes:
        weights: of the members, chosen on all images.
        cuts: (C - 1,) rising places, chosen on all images.
        judged: by weights and cut points that were chosen on the other folds.
        optimistic: score of the blend and the cut points chosen on these images.
    """

    weights: list[int]
    cuts: FloatArray
    judged: JudgedNumbers
    optimistic: float


def assess_numbers(
    members: Sequence[FloatArray],
    truth: NumberTruth,
    parts: IntArray,
    *,
    merge: str,
    weights: str | Sequence[int],
) -> NumberAssessment:
    """Return blend and cut points chosen on all images, judged by those of the other parts.

    Args:
        members: M arrays (N, 1) of places, out of fold.
        truth: of the N images.
        parts: (N,) fold of each image, or part of the only fold.
        merge: on what members are averaged.
        weights: a way to choose them, or their values.

    Raises:
        LeakError: as in `cross_fit_numbers`.
    """
    blends = ClassBlends(members, truth, merge, weights)
    whole = blends.chosen_on(np.ones(len(parts), bool))
    place = whole.probability[:, 0]
    cuts = truth.cuts(place)
    judged = cross_fit_numbers(truth, parts, blends.chosen_on)
    optimistic = truth.reported(truth.decide(place, cuts))
    return NumberAssessment(list(whole.weights), cuts, judged, optimistic)


def resampled_scores(
    truth: NumberTruth,
    predictions: Sequence[FloatArray],
    groups: IntArray,
    *,
    samples: int,
    seed: int,
) -> FloatArray:
    """Return the scores of predictions when whole groups are drawn again, (samples, ways).

    Args:
        truth: of N images.
        predictions: for each way (N,).
        groups: (N,) group numbers from 0.
        samples: resamplings; each draws as many groups as there are, with replacement.
        seed: of the drawing.
    """
    rng = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    scores = np.empty((samples, len(predictions)))
    for sample in range(samples):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        weights = times[groups].astype(float)
        scores[sample] = [
            number_score(truth.metric, truth.numbers, predicted, weights, grades=truth.grades)
            for predicted in predictions
        ]
    return scores


def number_gains(
    truth: NumberTruth,
    base: JudgedNumbers,
    others: Sequence[JudgedNumbers],
    groups: IntArray,
    *,
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Return what each way gains over the first one: mean, low and high.

    Args:
        truth: of N images.
        base: what all are compared with.
        others: judged on the same images.
        groups: (N,) group numbers from 0.
        samples: resamplings.
        seed: of the drawing.
    """
    ways = [base.predicted, *(other.predicted for other in others)]
    scores = resampled_scores(truth, ways, groups, samples=samples, seed=seed)
    gains = []
    for number, other in enumerate(others, 1):
        low, high = known_bounds(scores[:, number] - scores[:, 0], INTERVAL_LEVEL)
        gains.append({"mean": other.honest - base.honest, "low": low, "high": high})
    return gains
