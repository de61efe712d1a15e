"""Blend and thresholds of a run, made only from predictions of its present folds and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.commands.context import Run


def ensemble_made_from(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    """Return what ensemble.json depends on.

    Raises:
        InputError: as `open_members`.
    """
    from goldfold.commands.ensemble_members import prediction_facts

    if run.settings.competition.is_classification:
        from goldfold.commands.label_ensemble import label_ensemble_made_from

        return label_ensemble_made_from(run, images, folds)
    predictions = prediction_facts(run, images, folds, "out-of-fold")
    return {"predictions": predictions, **_beside_predictions(run, images, folds)}


def _beside_predictions(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    from goldfold.competitions.images_table import object_cells
    from goldfold.files import fingerprint

    if run.settings.competition.is_classification:
        from goldfold.commands.label_ensemble import label_ensemble_settings

        return label_ensemble_settings(run, images, folds)
    masks = [list(images["image_id"]), list(images["mask_rle"])]
    if (objects := object_cells(images)) is not None:
        masks.append(objects)
    return {
        "settings": run.settings.ensemble.model_dump(mode="json"),
        "metric": run.settings.competition.metric,
        "folds": fingerprint(folds.to_dict(orient="list")),
        "masks": fingerprint(masks),
    }


def require_ensemble(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> None:
    """Raise InputError unless ensemble.json is there, made from the present labels and settings.

    The out-of-fold maps behind it are not looked at; they may be gone.
    """
    from goldfold.commands.context import recorded
    from goldfold.errors import InputError

    command = run.command("ensemble run")
    path = run.directory.require(run.directory.ensemble, command)
    old = recorded(run.directory.stage("ensemble").path, "made_from")
    new = _beside_predictions(run, images, folds)
    if not isinstance(old, dict):
        raise InputError(f"{path} has no record of what it was made from. Run `{command}` first.")
    if changed := [name for name in new if old.get(name) != new[name]]:
        raise InputError(
            f"{path} was made from other {' and '.join(changed)}. Run `{command}` first."
        )


def ensure_ensemble(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    """Return the content of ensemble.json, made anew if what it is made from changed.

    Raises:
        InputError: as `open_members`.
    """
    from goldfold.commands.context import recorded
    from goldfold.files import write_json

    made_from = ensemble_made_from(run, images, folds)
    record = run.directory.stage("ensemble")
    there = recorded(run.directory.ensemble)
    if record.is_current(made_from) and isinstance(there, dict):
        run.progress.say("ensemble: up to date")
        return there
    if run.settings.competition.is_classification:
        from goldfold.commands.label_ensemble import make_label_ensemble

        report, made_from = make_label_ensemble(run, images, folds)
    else:
        report = _blend_and_assess(run, images, folds, made_from)
    record.forget()
    write_json(run.directory.ensemble, report)
    record.write(made_from)
    return report


def _blend_and_assess(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, made_from: dict[str, Any]
) -> dict[str, Any]:
    from goldfold.commands.blender import Blender
    from goldfold.commands.ensemble_members import close_members, open_members
    from goldfold.ensemble.report import build_report
    from goldfold.files import write_text

    members = open_members(run, images, folds, "out-of-fold")
    try:
        blender = Blender(run, images, folds, members)
        members, without = blender.weigh()
        histograms = blender.histograms(members)
        assessment = blender.assess(histograms, members, without)
        post = blender.post_processing(members, assessment)
        blender.draw(histograms, assessment)
        overlap = blender.overlap(histograms, members, assessment, without)
        write_text(run.directory.metrics, overlap.to_csv(index=False, lineterminator="\n"))
        return build_report(
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
    finally:
        close_members(members)
