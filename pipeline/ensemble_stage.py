"""Blend and thresholds of a run, made only from predictions of its present folds and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.ensemble.honest import Assessment
    from goldfold.pipeline.open_run import OpenRun


def ensemble_made_from(run: OpenRun) -> dict[str, Any]:
    """Return what ensemble.json depends on.

    Raises:
        InputError: as `open_members`.
    """
    from goldfold.pipeline.members import (
        OUT_OF_FOLD,
        expected_predictions,
        prediction_facts,
    )

    if run.settings.competition.is_classification:
        from goldfold.pipeline.class_ensemble import label_ensemble_made_from

        return label_ensemble_made_from(run)
    predictions = prediction_facts(run, "out-of-fold")
    return {
        "predictions": predictions,
        OUT_OF_FOLD: expected_predictions(run, "out-of-fold"),
        **_beside_predictions(run),
    }


def _beside_predictions(run: OpenRun) -> dict[str, Any]:
    from goldfold.files import fingerprint

    if run.settings.competition.is_classification:
        from goldfold.pipeline.class_ensemble import label_ensemble_settings

        return label_ensemble_settings(run)
    return {
        "settings": run.settings.ensemble.model_dump(mode="json"),
        "metric": run.settings.competition.metric,
        "folds": fingerprint(run.folds.to_dict(orient="list")),
        "masks": fingerprint([list(run.images["image_id"]), *_masks(run)]),
    }


def _masks(run: OpenRun) -> list[list[str]]:
    """Return the columns of the masks that are judged."""
    from goldfold.competitions.images_table import mask_columns, object_cells

    classes = run.settings.competition.mask_classes
    columns = [mask_columns(name)[0] for name in classes] or ["mask_rle"]
    found = [list(run.images[column]) for column in columns]
    if (objects := object_cells(run.images)) is not None:
        found.append(objects)
    return [[*classes], *found] if classes else found


def require_ensemble(run: OpenRun) -> None:
    """Raise InputError unless ensemble.json is there and is what `ensemble run` would make now.

    Whoever answers from ensemble.json asks this first. The out-of-fold maps behind it may be gone:
    what they are to be made from (trainings, images, views) is compared with the record.
    """
    from goldfold.errors import InputError
    from goldfold.pipeline.members import OUT_OF_FOLD, expected_predictions
    from goldfold.rundirectory import recorded

    run.read_tables()
    command = run.command("ensemble run")
    path = run.directory.require(run.directory.ensemble, command)
    old = recorded(run.directory.stage("ensemble").path, "made_from")
    if not isinstance(old, dict):
        raise InputError(f"{path} has no record of what it was made from. Run `{command}` first.")
    new = _beside_predictions(run)
    changed = [name for name in new if old.get(name) != new[name]]
    if changed:  # the trainings may be of other folds, too, which is not the first fault
        raise InputError(
            f"{path} was made from other {' and '.join(changed)}. Run `{command}` first."
        )
    if old.get(OUT_OF_FOLD) != expected_predictions(run, "out-of-fold"):
        raise InputError(
            f"{path} was made from other {OUT_OF_FOLD}. Run `{run.command('predict run')}`, then "
            f"`{command}`."
        )


def ensure_ensemble(run: OpenRun) -> dict[str, Any]:
    """Return the content of ensemble.json, made anew if what it is made from changed.

    Raises:
        InputError: as `open_members`.
    """
    from goldfold.files import write_json
    from goldfold.rundirectory import recorded

    made_from = ensemble_made_from(run)
    record = run.directory.stage("ensemble")
    there = recorded(run.directory.ensemble)
    whole = isinstance(there, dict) and "honest" in there  # or else someone wrote into it
    if whole and record.is_current(made_from):
        run.progress.say("ensemble: up to date")
        return dict(there)
    if run.settings.competition.is_classification:
        from goldfold.pipeline.class_ensemble import make_label_ensemble

        report, made_from = make_label_ensemble(run)
    else:
        report = _blend_and_assess(run, made_from)
    record.forget()
    write_json(run.directory.ensemble, report)
    record.write(made_from)
    return report


def _blend_and_assess(run: OpenRun, made_from: dict[str, Any]) -> dict[str, Any]:
    """Return the content of ensemble.json; metrics.csv and the heat maps are written."""
    import pandas as pd

    from goldfold.ensemble.several import build_class_report
    from goldfold.files import write_text

    classes = run.settings.competition.mask_classes
    found = {name: _assess(run, made_from, name) for name in classes or [""]}
    overlap = pd.concat(
        [one.overlap.assign(**{"class": name} if name else {}) for name, one in found.items()]
    )
    write_text(run.directory.metrics, overlap.to_csv(index=False, lineterminator="\n"))
    if not classes:
        return found[""].report
    any_class = next(iter(found.values()))
    return build_class_report(
        {name: one.report for name, one in found.items()},
        {name: one.assessment for name, one in found.items()},
        any_class.parts,
        any_class.groups,
        samples=run.settings.ensemble.bootstrap_samples,
        seed=run.settings.ensemble.seed,
        facts=made_from,
    )


@dataclass(frozen=True)
class _Found:
    """What is chosen for the masks of a class, and what to expect of it."""

    report: dict[str, Any]
    assessment: Assessment
    overlap: pd.DataFrame
    parts: NDArray[np.int64]
    groups: list[str]


def _assess(run: OpenRun, made_from: dict[str, Any], name: str) -> _Found:
    """Return the blend and rule of a class, "" where an image has one mask."""
    from goldfold.competitions.images_table import of_class
    from goldfold.ensemble.report import build_report
    from goldfold.pipeline.blender import Blender
    from goldfold.pipeline.members import close_members, open_members

    if name:
        run.progress.say(f"class {name}")
    members = open_members(run, "out-of-fold", of_class=name)
    try:
        blender = Blender(run, of_class(run.images, name), members, name)
        members, without = blender.weigh()
        histograms = blender.histograms(members)
        assessment = blender.assess(histograms, members, without)
        post = blender.post_processing(members, assessment)
        blender.draw(histograms, assessment, name)
        overlap = blender.overlap(histograms, members, assessment, without)
        report = build_report(
            members,
            assessment,
            run.settings.competition.metric,
            merge=run.settings.ensemble.merge,
            level_counts=blender.level_counts,
            weights=run.settings.ensemble.weights,
            post=post,
            overlap=overlap,
            facts=made_from,
        )
        return _Found(report, assessment, overlap, blender.parts, blender.groups)
    finally:
        close_members(members)
