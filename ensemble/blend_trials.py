"""Ways to blend, compared: each is judged by weights and rules that were chosen on other folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.ensemble.honest import cross_fit
from goldfold.ensemble.probability_scale import Scale
from goldfold.ensemble.threshold_choice import choose_rule
from goldfold.ensemble.weights import Objective, Pixels, WeighedBlend, choose_weights
from goldfold.vocabulary import RuleChoice

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
ScalesOf = Callable[[str], Sequence[Scale]]


@dataclass(frozen=True)
class BlendTrial:
    """A way to blend and what it scores.

    Attributes:
        merge: on what maps are averaged.
        way: how weights are chosen.
        weights: those chosen on all images.
        scores: (N,) honest score of each image, weights and rule chosen on the other parts.
        optimistic: mean score with both chosen on the same images.
    """

    merge: str
    way: str
    weights: tuple[int, ...]
    scores: FloatArray
    optimistic: float

    @property
    def honest(self) -> float:
        """Return the mean honest score."""
        return float(self.scores.mean())


@dataclass(frozen=True)
class LeftOut:
    """What happens without a member, all others weighted equally.

    Attributes:
        member: place of the member that is left out.
        scores: (N,) honest scores without it.
        gain: mean of `scores` minus that with all members; positive where leaving it out helps.
    """

    member: int
    scores: FloatArray
    gain: float


def try_blends(
    pixels: Pixels,
    scales_of: ScalesOf,
    parts: IntArray,
    metric: str,
    *,
    merges: Sequence[str],
    ways: Sequence[str],
    choice: RuleChoice,
) -> list[BlendTrial]:
    """Return a trial of every merge with every way to weigh.

    Args:
        pixels: what the members say.
        scales_of: merge -> a scale for each member.
        parts: (N,) part of each image (`parts_of`).
        metric: name of a metric of pixel counts.
        merges: names of scales.
        ways: `equal`, `hill-climb`, `simplex`.
        choice: of the rule.

    Raises:
        LeakError: as in `cross_fit`.
    """
    trials = []
    for merge in merges:
        scales = scales_of(merge)
        whole = Objective(pixels, scales, metric)
        weights_of = _weights_by_part(pixels, scales, parts, metric, ways)
        for way in ways:
            weights = choose_weights(way, whole)
            histograms = whole.histograms(weights)
            without = {
                part: WeighedBlend(whole.histograms(chosen), chosen_on)
                for part, (chosen, chosen_on) in weights_of[way].items()
            }
            scores, _ = cross_fit(
                histograms,
                parts,
                metric,
                choice=choice,
                without=without,
                image_ids=pixels.image_ids.tolist(),
            )
            optimistic = choose_rule(histograms, metric, choice=choice).score
            trials.append(BlendTrial(merge, way, tuple(weights), scores, optimistic))
    return trials


def _weights_by_part(
    pixels: Pixels,
    scales: Sequence[Scale],
    parts: IntArray,
    metric: str,
    ways: Sequence[str],
) -> dict[str, dict[int, tuple[list[int], NDArray[np.str_]]]]:
    """Return, by way and part, the weights chosen on the other parts, and on which images."""
    weights_by_way: dict[str, dict[int, tuple[list[int], NDArray[np.str_]]]] = {
        way: {} for way in ways
    }
    for part in np.unique(parts):
        objective = Objective(pixels.of(parts != part), scales, metric)
        for way in ways:
            weights_by_way[way][int(part)] = choose_weights(way, objective), objective.image_ids
    return weights_by_way


def leave_one_out(
    pixels: Pixels, scales: Sequence[Scale], parts: IntArray, metric: str, choice: RuleChoice
) -> list[LeftOut]:
    """Return the honest scores without each member, equal weights; nothing for a single member.

    Args:
        pixels: what the members say.
        scales: one a member.
        parts: (N,) part of each image.
        metric: name of a metric of pixel counts.
        choice: of the rule.
    """
    count = len(scales)
    if count < 2:
        return []
    objective = Objective(pixels, scales, metric)
    image_ids = pixels.image_ids.tolist()

    def honest(weights: list[int]) -> FloatArray:
        histograms = objective.histograms(weights)
        return cross_fit(histograms, parts, metric, choice=choice, image_ids=image_ids)[0]

    everything = honest([1] * count).mean()
    trials = []
    for member in range(count):
        scores = honest([int(other != member) for other in range(count)])
        trials.append(LeftOut(member, scores, float(scores.mean() - everything)))
    return trials
