"""Ways to blend classes, compared on out-of-fold predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goldfold.ensemble.blend_ways import blend_ways
from goldfold.ensemble.class_merge import MERGES
from goldfold.tasks.class_held_out import ClassJudgement
from goldfold.tasks.class_members import class_members, row_members
from goldfold.tasks.prediction_rows import Rows
from goldfold.vocabulary import WeightSearch, names_of

if TYPE_CHECKING:
    from goldfold.tasks.run_view import MemberSource, RunView

WAYS = names_of(WeightSearch)


def compare_class_blends(run: RunView, source: MemberSource) -> dict[str, Any]:
    """Return the report on members that predict classes."""
    from goldfold.ensemble.class_trials import leave_one_class_member_out, try_class_blends

    members = row_members(class_members(source, "out-of-fold"), Rows(run), "out-of-fold")
    judgement = ClassJudgement(run, members.image_ids)
    names, truth, merge = members.names, judgement.truth, run.settings.ensemble.merge
    run.progress.say(f"blend: {len(members.image_ids):,} images, {len(names)} members")
    ways = blend_ways(len(names), MERGES, WAYS, calibrate_alone=True)
    trials = try_class_blends(members.probability, truth, judgement.parts, ways=ways)
    gains = judgement.gains(trials[0].judged, [trial.judged for trial in trials])
    left_out = leave_one_class_member_out(members.probability, truth, judgement.parts, merge)
    return {
        "metric": truth.metric,
        "images": len(members.image_ids),
        "members": names,
        "blends": [
            {
                "merge": trial.merge,
                "weights_by": trial.way,
                "calibration": trial.calibration,
                "weights": dict(zip(names, trial.weights, strict=True)),
                "honest": trial.judged.honest,
                "gain": gain,
                "optimistic": trial.optimistic,
            }
            for trial, gain in zip(trials, gains, strict=True)
        ],
        "without_member": [
            {
                "member": names[without.member],
                "merge": merge,
                "honest": without.honest,
                "gain": without.gain,
            }
            for without in left_out
        ],
    }
