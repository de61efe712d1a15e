"""Ways to blend class probabilities, each judged by what was chosen on the other folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from goldfold.ensemble.blend_ways import BlendWay
from goldfold.ensemble.class_blend import (
    ClassBlend,
    ClassBlends,
    FloatArray,
    IntArray,
    JudgedClasses,
    best_thresholds,
    cross_fit_probabilities,
)
from goldfold.ensemble.class_merge import merge_probabilities
from goldfold.ensemble.class_truth import Truth


@dataclass(frozen=True)
class ClassTrial:
    """A way to blend and what it scores.

    Attributes:
        merge: on what probabilities are averaged.
        way: how weights are chosen.
        calibration: of the members.
        weights: those chosen on all images.
        judged: by weights and thresholds that were chosen on the other parts.
        optimistic: score with both chosen on the same images.
    """

    merge: str
    way: str
    calibration: str
    weights: tuple[int, ...]
    judged: JudgedClasses
    optimistic: float


@dataclass(frozen=True)
class MemberLeftOut:
    """What happens without a member, all others weighted equally.

    Attributes:
        member: place of the member that is left out.
        honest: score without it.
        gain: `honest` minus the score with all members; positive where leaving it out helps.
    """

    member: int
    honest: float
    gain: float


def try_class_blends(
    members: Sequence[FloatArray],
    truth: Truth,
    parts: IntArray,
    *,
    ways: Sequence[BlendWay],
) -> list[ClassTrial]:
    """Return a trial of each way to blend.

    Args:
        members: M arrays (N, C) of out-of-fold probabilities.
        truth: of the N images.
        parts: (N,) part of each image (`parts_of`).
        ways: of `blend_ways`.
    """
    return [_try_one(members, truth, parts, way) for way in ways]


def _try_one(
    members: Sequence[FloatArray], truth: Truth, parts: IntArray, way: BlendWay
) -> ClassTrial:
    blends = ClassBlends(members, truth, way.merge, way.weights, way.calibration)
    whole = blends.chosen_on(np.ones(len(parts), bool))
    judged = cross_fit_probabilities(truth, parts, blends.chosen_on)
    optimistic = truth.reported_score(whole.probability, best_thresholds(truth, whole.probability))
    weights = () if whole.blend is None else whole.blend.weights
    return ClassTrial(way.merge, way.weights, way.calibration, weights, judged, optimistic)


def leave_one_class_member_out(
    members: Sequence[FloatArray], truth: Truth, parts: IntArray, merge: str
) -> list[MemberLeftOut]:
    """Return the honest scores without each member, equal weights; nothing for a single member.

    Args:
        members: M arrays (N, C) of out-of-fold probabilities.
        truth: of the N images.
        parts: (N,) part of each image.
        merge: name of a merge of `merge_probabilities`.
    """
    if len(members) < 2:
        return []

    def honest(those: Sequence[FloatArray]) -> float:
        blend = merge_probabilities(those, [1] * len(those), merge, exclusive=truth.exclusive)
        return cross_fit_probabilities(truth, parts, lambda _: ClassBlend(blend)).honest

    everything = honest(members)
    scores = [
        honest([member for place, member in enumerate(members) if place != left])
        for left in range(len(members))
    ]
    return [MemberLeftOut(left, score, score - everything) for left, score in enumerate(scores)]
