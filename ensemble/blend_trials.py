"""Ways to blend, compared: each is judged by weights and rules that were chosen on other folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.scores import Scores
from goldfold.ensemble.blend_ways import BlendWay
from goldfold.ensemble.honest import cross_fit
from goldfold.ensemble.probability_scale import Scale
from goldfold.ensemble.threshold_choice import choose_rule
from goldfold.ensemble.weights import Objective, Pixels, PixelWeighing, WeighedBlend
from goldfold.vocabulary import RuleChoice

IntArray = NDArray[np.int64]
ScalesOf = Callable[[str, str, int | None], Sequence[Scale]]


@dataclass(frozen=True)
class BlendTrial:
    """A way to blend and what it scores.

    Attributes:
        merge: on what maps are averaged.
        way: how weights are chosen.
        calibration: of the members.
        weights: those chosen on all images.
        scores: (N,) honest score of each image, weights and rule chosen on the other parts.
        optimistic: score with both chosen on the same images.
    """

    merge: str
    way: str
    calibration: str
    weights: tuple[int, ...]
    scores: Scores
    optimistic: float

    @property
    def honest(self) -> float:
        """Return the honest score of all images."""
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
    scores: Scores
    gain: float


def try_blends(
    pixels: Pixels,
    scales_of: ScalesOf,
    parts: IntArray,
    metric: str,
    *,
    ways: Sequence[BlendWay],
    choice: RuleChoice,
    calibrated_on: Callable[[int], NDArray[np.str_]] | None = None,
) -> list[BlendTrial]:
    """Return a trial of each way to blend.

    Args:
        pixels: what the members say.
        scales_of: merge, calibration and the part it was fitted without (None for all images) ->
            a scale for each member.
        parts: (N,) part of each image (`parts_of`).
        metric: name of a metric of pixel counts.
        ways: those of one merge and calibration beside each other.
        choice: of the rule.
        calibrated_on: part -> ids of the images that calibrations without it were fitted on.

    Raises:
        LeakError: as in `cross_fit`.
    """
    trials, left_out = [], (None, *np.unique(parts).tolist())
    for (merge, calibration), group in groupby(ways, key=lambda way: (way.merge, way.calibration)):
        names = [way.weights for way in group]
        fitted = calibration != "none"
        tried = _Tried(
            pixels,
            {part: scales_of(merge, calibration, part) for part in left_out},
            parts,
            metric,
        )
        without = tried.without(names, calibrated_on if fitted else None)
        for way in names:
            weights, histograms = tried.whole(way)
            scores, _ = cross_fit(
                histograms,
                parts,
                metric,
                choice=choice,
                without=without[way],
                image_ids=pixels.image_ids.tolist(),
            )
            optimistic = choose_rule(histograms, metric, choice=choice).score
            trials.append(BlendTrial(merge, way, calibration, tuple(weights), scores, optimistic))
    return trials


class _Tried:
    """Blends of one merge and calibration, chosen on all images and without each part."""

    def __init__(
        self,
        pixels: Pixels,
        scales: Mapping[int | None, Sequence[Scale]],
        parts: IntArray,
        metric: str,
    ) -> None:
        """Take the members' scales without each part, and at None those of all images."""
        self._pixels, self._scales, self._parts, self._metric = pixels, scales, parts, metric
        self._all = PixelWeighing(pixels, scales[None], metric)

    def whole(self, way: str) -> tuple[list[int], IntArray]:
        """Return weights chosen on all images, and the histograms of that blend."""
        weights, _ = self._all.choose(way)
        return weights, self._all.objective.histograms(weights)

    def without(
        self, ways: Sequence[str], calibrated_on: Callable[[int], NDArray[np.str_]] | None
    ) -> dict[str, dict[int, WeighedBlend]]:
        """Return, by way and part, the blend that was chosen on the other parts."""
        blends: dict[str, dict[int, WeighedBlend]] = {way: {} for way in ways}
        for part in np.unique(self._parts).tolist():
            scales = self._scales[part]
            others = PixelWeighing(self._pixels.of(self._parts != part), scales, self._metric)
            shown = self._all.objective
            if calibrated_on is not None:
                shown = PixelWeighing(self._pixels, scales, self._metric).objective
            for way in ways:
                weights, chosen_on = others.choose(way)
                if calibrated_on is not None:
                    chosen_on = np.union1d(chosen_on, calibrated_on(part))
                blends[way][part] = WeighedBlend(shown.histograms(weights), chosen_on)
        return blends


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

    def honest(weights: list[int]) -> Scores:
        histograms = objective.histograms(weights)
        return cross_fit(histograms, parts, metric, choice=choice, image_ids=image_ids)[0]

    everything = honest([1] * count).mean()
    trials = []
    for member in range(count):
        scores = honest([int(other != member) for other in range(count)])
        trials.append(LeftOut(member, scores, float(scores.mean() - everything)))
    return trials
