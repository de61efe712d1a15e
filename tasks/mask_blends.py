"""Ways to blend masks, compared on out-of-fold predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goldfold.competitions.images_table import of_class
from goldfold.ensemble.blend_ways import blend_ways
from goldfold.ensemble.intervals import gain_interval
from goldfold.tasks.mask_blending import Blender
from goldfold.tasks.mask_weighing import Calibrations
from goldfold.vocabulary import WeightSearch, names_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from goldfold.competitions.scores import Scores
    from goldfold.tasks.run_view import MemberSource, RunView

WAYS = names_of(WeightSearch)


def compare_mask_blends(run: RunView, source: MemberSource, name: str) -> dict[str, Any]:
    """Return the report on the masks of a class, "" where an image has one mask."""
    from goldfold.ensemble.blend import close_members
    from goldfold.ensemble.blend_trials import leave_one_out, try_blends
    from goldfold.ensemble.probability_scale import MERGES

    members = source.open("out-of-fold", name)
    try:
        blender = Blender(run, of_class(run.images, name), members)
        sample = blender.sample()
        run.progress.say(f"blend: {len(sample):,} images, {len(members)} members")
        metric, settings = run.settings.competition.metric, run.settings.ensemble
        calibrations, parts = Calibrations(blender), blender.parts[sample]
        ways = blend_ways(len(members), MERGES, WAYS, calibrate_alone=False)
        tried = calibrations.all_scales("mean", list(dict.fromkeys(w.calibration for w in ways)))
        pixels = blender.pixels(sample, tried)
        trials = try_blends(
            pixels,
            calibrations.scales,
            parts,
            metric,
            ways=ways,
            choice=settings.rule,
            calibrated_on=calibrations.looked_at,
        )
        pixels = pixels.above(blender.scale_list("mean"))
        scales = blender.scale_list(settings.merge)
        left_out = leave_one_out(pixels, scales, parts, metric, settings.rule)
    finally:
        close_members(members)
    groups = run.fold_view.group_numbers([blender.image_ids[place] for place in sample])
    base = trials[0].scores
    names = [member.name for member in members]
    return {
        "metric": metric,
        "images": len(sample),
        "members": names,
        "blends": [
            {
                "merge": trial.merge,
                "weights_by": trial.way,
                "calibration": trial.calibration,
                "weights": dict(zip(names, trial.weights, strict=True)),
                "honest": trial.honest,
                "gain": _gain(trial.scores, base, groups, run),
                "optimistic": trial.optimistic,
            }
            for trial in trials
        ],
        "without_member": [
            {
                "member": names[without.member],
                "merge": settings.merge,
                "honest": float(without.scores.mean()),
                "gain": without.gain,
            }
            for without in left_out
        ],
    }


def _gain(
    scores: Scores, base: Scores, groups: NDArray[np.int64], run: RunView
) -> dict[str, float]:
    """Return the mean gain over the plain mean and its interval over groups."""
    settings = run.settings.ensemble
    return gain_interval(
        scores, base, groups, samples=settings.bootstrap_samples, seed=settings.seed
    )
