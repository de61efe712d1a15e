"""Ways to blend grades and numbers, each judged by what was chosen on the other folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.ensemble.class_blend import ClassBlends
from goldfold.ensemble.class_merge import MERGES, merge_probabilities
from goldfold.ensemble.numbers import cross_fit_numbers
from goldfold.tasks.grade_ensemble import NumberJudgement, number_members
from goldfold.tasks.grade_training import scale_of
from goldfold.tasks.prediction_rows import Rows
from goldfold.vocabulary import WeightSearch, names_of, score_name

if TYPE_CHECKING:
    from goldfold.tasks.run_view import MemberSource, RunView

WAYS = names_of(WeightSearch)


def compare_number_blends(run: RunView, source: MemberSource) -> dict[str, Any]:
    """Return the score of every merge with every search of weights."""
    scale = scale_of(run.settings.competition)
    members = number_members(source, "out-of-fold", scale, Rows(run))
    judgement = NumberJudgement(run, members.image_ids)
    truth, names = judgement.truth, members.names
    several = len(names) > 1
    # Mean ranks order the images, which is enough to cut grades, but they are not numbers.
    merges = [name for name in MERGES if truth.scale.grades or name != "rank"]
    trials = []
    for merge in merges if several else merges[:1]:
        for way in WAYS if several else WAYS[:1]:
            blends = ClassBlends(members.place, truth, merge, way)
            whole = blends.chosen_on(np.ones(len(members.image_ids), bool))
            judged = cross_fit_numbers(truth, judgement.parts, blends.chosen_on)
            place = whole.probability[:, 0]
            optimistic = truth.reported(truth.decide(place, truth.cuts(place)))
            trials.append((merge, way, whole.weights, judged, optimistic))
    gains = judgement.gains(trials[0][3], [judged for *_, judged, _ in trials])
    merge = run.settings.ensemble.merge

    def without(left: int | None) -> float:
        rest = [place for number, place in enumerate(members.place) if number != left]
        return judgement.judge(
            merge_probabilities(rest, [1] * len(rest), merge, exclusive=False)
        ).honest

    everything = without(None)
    left_out = [without(number) for number in range(len(names))] if several else []
    return {
        "metric": score_name(truth.metric),
        "images": len(members.image_ids),
        "members": names,
        "blends": [
            {
                "merge": merge_name,
                "weights_by": way,
                "calibration": "none",
                "weights": dict(zip(names, weights, strict=True)),
                "honest": judged.honest,
                "gain": gain,
                "optimistic": optimistic,
            }
            for (merge_name, way, weights, judged, optimistic), gain in zip(
                trials, gains, strict=True
            )
        ],
        "without_member": [
            {"member": name, "merge": merge, "honest": honest, "gain": honest - everything}
            for name, honest in zip(names, left_out, strict=False)
        ],
    }
