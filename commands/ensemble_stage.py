"""Blend and thresholds of a run, made only from predictions of its present folds and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.commands.context import Run
    from goldfold.commands.prediction_stage import Split
    from goldfold.ensemble.blend import Blend, Member


def open_members(run: Run, images: pd.DataFrame, folds: pd.DataFrame, split: Split) -> list[Member]:
    """Return the members with their stores opened.

    Raises:
        InputError: trainings are not finished or were made from other settings, labels or folds,
            or predictions are missing or outdated.
    """
    from goldfold.commands.prediction_stage import finished_jobs
    from goldfold.commands.training_stage import choose_jobs, refuse_other_trainings
    from goldfold.ensemble.blend import open_member
    from goldfold.errors import InputError, list_problems

    models = {model.name: model for model in run.settings.models}
    chosen = run.settings.ensemble.members or list(models)
    weights = run.settings.ensemble.weights or [1] * len(chosen)
    jobs = {name: finished_jobs(run, choose_jobs(run, model=name)) for name in chosen}
    for name in chosen:
        refuse_other_trainings(run, jobs[name], images, folds)
    members: list[Member] = []
    problems: list[str] = []
    for name, weight in zip(chosen, weights, strict=True):
        try:
            member = open_member(
                run.directory.root / "predictions",
                name,
                weight=weight,
                seeds=models[name].seeds,
                folds=sorted({job.fold for job in jobs[name]}),
                split=split,
                allow_missing=run.settings.inference.allow_missing_folds,
            )
        except InputError as error:
            problems.append(str(error))
            continue
        members.append(member)
        problems += _outdated(run, images, folds, member, split)
    if problems:
        remedy = f"Run `{run.command('predict run')} --{split}`."
        raise InputError(list_problems("predictions are missing or outdated:", problems, remedy))
    return members


def _outdated(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, member: Member, split: Split
) -> list[str]:
    """Return a line for each store that predicting now would not give."""
    from goldfold.commands.prediction_stage import changed_facts, images_fingerprints, store_facts

    readers = [reader for readers in member.seeds for reader in readers]
    numbers = [int(reader.path.parent.name.removeprefix("fold-")) for reader in readers]
    prints = images_fingerprints(run, images, folds, numbers, split)
    stages = {model.name: len(model.stages) for model in run.settings.models}
    problems = []
    for reader, number in zip(readers, numbers, strict=True):
        place = reader.path.parent.relative_to(run.directory.root / "predictions")
        training = run.directory.root / "models" / place / f"stage-{stages[place.parts[0]]}"
        facts = store_facts(run, training, prints[number], split)
        if changed := changed_facts(reader.facts, facts):
            problems.append(f"{reader.path} was made from other {' and '.join(changed)}.")
    return problems


def prediction_facts(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, split: Split
) -> dict[str, str]:
    """Return the fingerprint of what each store was made from, by its path in the run.

    Raises:
        InputError: as `open_members`.
    """
    from goldfold.files import fingerprint, read_json

    facts = {}
    for member in open_members(run, images, folds, split):
        for readers in member.seeds:
            for reader in readers:
                summary = read_json(reader.path.with_suffix(".json"))
                reader.close()
                name = reader.path.relative_to(run.directory.root).as_posix()
                facts[name] = fingerprint(summary)
    return facts


def ensemble_made_from(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    """Return what ensemble.json depends on.

    Raises:
        InputError: as `open_members`.
    """
    predictions = prediction_facts(run, images, folds, "out-of-fold")
    return {"predictions": predictions, **_beside_predictions(run, images, folds)}


def _beside_predictions(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    from goldfold.files import fingerprint

    return {
        "settings": run.settings.ensemble.model_dump(mode="json"),
        "metric": run.settings.competition.metric,
        "folds": fingerprint(folds.to_dict(orient="list")),
        "masks": fingerprint([list(images["image_id"]), list(images["mask_rle"])]),
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
    report = _blend_and_assess(run, images, folds, made_from)
    record.forget()
    write_json(run.directory.ensemble, report)
    record.write(made_from)
    return report


def _blend_and_assess(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, made_from: dict[str, Any]
) -> dict[str, Any]:
    from goldfold.competitions.images_table import training_images
    from goldfold.competitions.rle import decode, get_dialect
    from goldfold.ensemble.blend import Blend, blend_histograms
    from goldfold.ensemble.honest import assess
    from goldfold.ensemble.report import build_report

    settings = run.settings.ensemble
    dialect = get_dialect(run.settings.competition.labels.dialect)
    train = training_images(images)
    folds_of = folds.set_index("image_id")

    masks = {
        image_id: (text, height, width)
        for image_id, text, height, width in zip(
            train["image_id"],
            train["mask_rle"],
            train["height"].tolist(),
            train["width"].tolist(),
            strict=True,
        )
    }

    def true_mask(image_id: str) -> NDArray[np.uint8] | None:
        text, height, width = masks[image_id]
        return decode(text, height, width, dialect) if text else None

    members = open_members(run, images, folds, "out-of-fold")
    blend = Blend(members, "out-of-fold", partial=run.settings.inference.allow_missing_folds)
    try:
        ids = blend.image_ids
        histograms = blend_histograms(
            blend, ids, true_mask, workers=run.workers, progress=run.progress
        )
        assessment = assess(
            histograms,
            folds_of.loc[ids, "fold"].to_numpy(),
            list(folds_of.loc[ids, "group"]),
            metric=run.settings.competition.metric,
            samples=settings.bootstrap_samples,
            seed=settings.seed,
            min_area_candidates=settings.min_area_candidates,
            presence=_presence(blend, ids) if settings.presence_gate == "auto" else None,
        )
        return build_report(members, assessment, run.settings.competition.metric, facts=made_from)
    finally:
        blend.close()


def _presence(blend: Blend, image_ids: Sequence[str]) -> NDArray[np.int64] | None:
    """Return the presence levels of images, None unless networks tell that of all."""
    import numpy as np

    levels = [blend.presence(image_id) for image_id in image_ids]
    known = [level for level in levels if level is not None]
    return np.array(known, dtype=np.int64) if len(known) == len(levels) else None
