"""Ways to blend a run's members, compared on out-of-fold predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goldfold.vocabulary import WeightSearch, names_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.commands.context import Run

WAYS = names_of(WeightSearch)


def compare_blends(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    """Return what every merge with every way to weigh scores, and what each member is worth.

    Plain values; written to blends.json in the run directory as well. Where an image has several
    masks, each class is compared by itself, under `classes`.

    Raises:
        InputError: predictions are missing or outdated, other runs have other folds, or the
            metric compares objects.
    """
    from goldfold.errors import InputError
    from goldfold.files import write_json

    if run.settings.competition.compares_objects:
        raise InputError(
            "`ensemble blend` compares blends on some pixels of each image, which do not tell the "
            f'objects that competition.metric = "{run.settings.competition.metric}" compares. '
            "Set ensemble.merge or ensemble.weights, and compare the honest scores of "
            f"`{run.command('ensemble run')}`."
        )
    if run.settings.competition.is_classification:
        report = _compare_labels(run, images, folds)
        write_json(run.directory.root / "blends.json", report)
        return report
    classes = run.settings.competition.mask_classes
    found = {name: _compare(run, images, folds, name) for name in classes or [""]}
    report = {"classes": found} if classes else found[""]
    write_json(run.directory.root / "blends.json", report)
    return report


def _compare(run: Run, images: pd.DataFrame, folds: pd.DataFrame, name: str) -> dict[str, Any]:
    """Return the report on the masks of a class, "" where an image has one mask."""
    from goldfold.commands.blender import Blender
    from goldfold.commands.ensemble_members import close_members, open_members
    from goldfold.competitions.images_table import of_class
    from goldfold.ensemble.blend_trials import leave_one_out, try_blends
    from goldfold.ensemble.scale import MERGES

    members = open_members(run, images, folds, "out-of-fold", of_class=name)
    try:
        blender = Blender(run, of_class(images, name), folds, members)
        sample = blender.sample()
        run.progress.say(f"blend: {len(sample):,} images, {len(members)} members")
        pixels, parts = blender.pixels(sample), blender.parts[sample]
        metric, settings = run.settings.competition.metric, run.settings.ensemble
        several = len(members) > 1
        trials = try_blends(
            pixels,
            blender.scale_list,
            parts,
            metric,
            merges=MERGES if several else MERGES[:1],
            ways=WAYS if several else WAYS[:1],
            choice=settings.rule,
        )
        scales = blender.scale_list(settings.merge)
        left_out = leave_one_out(pixels, scales, parts, metric, settings.rule)
    finally:
        close_members(members)
    groups = [blender.groups[place] for place in sample]
    base = trials[0].scores
    names = [member.name for member in members]
    return {
        "metric": metric,
        "images": len(sample),
        "members": names,
        "blends": [
            {
                "merge": one.merge,
                "weights_by": one.way,
                "weights": dict(zip(names, one.weights, strict=True)),
                "honest": one.honest,
                "gain": _gain(one.scores - base, groups, run),
                "optimistic": one.optimistic,
            }
            for one in trials
        ],
        "without_member": [
            {
                "member": names[one.member],
                "merge": settings.merge,
                "honest": float(one.scores.mean()),
                "gain": one.gain,
            }
            for one in left_out
        ],
    }


def _compare_labels(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    """Return the report on members that predict classes."""
    from goldfold.commands.label_members import open_label_members
    from goldfold.commands.label_views import LabelJudgement
    from goldfold.ensemble.label_merge import MERGES
    from goldfold.ensemble.label_trials import leave_one_label_member_out, try_label_blends

    members = open_label_members(run, images, folds, "out-of-fold")
    judgement = LabelJudgement(run, images, folds, members.image_ids)
    names, truth, merge = members.names, judgement.truth, run.settings.ensemble.merge
    run.progress.say(f"blend: {len(members.image_ids):,} images, {len(names)} members")
    several = len(names) > 1
    trials = try_label_blends(
        members.probability,
        truth,
        judgement.parts,
        merges=MERGES if several else MERGES[:1],
        ways=WAYS if several else WAYS[:1],
    )
    gains = judgement.gains(trials[0].judged, [one.judged for one in trials])
    left_out = leave_one_label_member_out(members.probability, truth, judgement.parts, merge)
    return {
        "metric": truth.metric,
        "images": len(members.image_ids),
        "members": names,
        "blends": [
            {
                "merge": one.merge,
                "weights_by": one.way,
                "weights": dict(zip(names, one.weights, strict=True)),
                "honest": one.judged.honest,
                "gain": gain,
                "optimistic": one.optimistic,
            }
            for one, gain in zip(trials, gains, strict=True)
        ],
        "without_member": [
            {"member": names[one.member], "merge": merge, "honest": one.honest, "gain": one.gain}
            for one in left_out
        ],
    }


def _gain(gap: NDArray[np.float64], groups: list[str], run: Run) -> dict[str, float]:
    """Return the mean gain over the plain mean and its interval over groups."""
    from goldfold.ensemble.honest import group_interval, number_groups

    settings = run.settings.ensemble
    interval = group_interval(
        gap, number_groups(groups), samples=settings.bootstrap_samples, seed=settings.seed
    )
    return {"mean": float(gap.mean()), "low": interval.low, "high": interval.high}
