"""Ways to blend maps of exclusive classes, each judged by what was chosen on the other folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goldfold.ensemble.intervals import gain_interval
from goldfold.tasks.semantic_ensemble import ClassBlender
from goldfold.vocabulary import ViewMerge, WeightSearch, names_of

if TYPE_CHECKING:
    from goldfold.competitions.scores import Scores
    from goldfold.tasks.run_view import MemberSource, RunView

MERGES, WAYS = names_of(ViewMerge), names_of(WeightSearch)


def compare_semantic_blends(run: RunView, source: MemberSource) -> dict[str, Any]:
    """Return what every merge with every way to weigh scores, as plain values."""
    from goldfold.ensemble.blend import close_members
    from goldfold.ensemble.class_map_weights import ClassMapObjective, try_class_map_blends

    settings, metric = run.settings.ensemble, run.settings.competition.metric
    members = source.open("out-of-fold")
    try:
        blender = ClassBlender(run, members)
        places, pixels = blender.sample()
    finally:
        close_members(members)
    run.progress.say(f"blend: {len(places):,} images, {len(members)} members")
    names, several = [member.name for member in members], len(members) > 1
    trials = try_class_map_blends(
        pixels,
        blender.parts[places],
        metric,
        merges=MERGES if several else MERGES[:1],
        ways=WAYS if several else WAYS[:1],
    )
    groups = run.fold_view.group_numbers(pixels.image_ids.tolist())

    def gain(scores: Scores) -> dict[str, float]:
        return gain_interval(
            scores,
            trials[0].scores,
            groups,
            samples=settings.bootstrap_samples,
            seed=settings.seed,
        )

    objective = ClassMapObjective(pixels, settings.merge, metric)
    everything = objective([1] * len(names))
    left_out = [
        (name, objective([int(other != name) for other in names]))
        for name in (names if several else [])
    ]
    return {
        "metric": metric,
        "images": len(places),
        "members": names,
        "blends": [
            {
                "merge": one.merge,
                "weights_by": one.way,
                "weights": dict(zip(names, one.weights, strict=True)),
                "honest": float(one.scores.mean()),
                "gain": gain(one.scores),
                "optimistic": one.optimistic,
            }
            for one in trials
        ],
        "without_member": [
            {"member": name, "merge": settings.merge, "honest": score, "gain": score - everything}
            for name, score in left_out
        ],
    }
