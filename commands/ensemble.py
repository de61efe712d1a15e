"""`goldfold ensemble`: blend, thresholds, honest score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from goldfold.commands.options import Assignments, Json, RunFolder

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.commands.context import Run
    from goldfold.ensemble.blend import Member

app = typer.Typer(
    help="Blend models and choose thresholds on out-of-fold predictions.\n\n"
    "Example:\n\ngoldfold ensemble run runs/first",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Keep `run` a subcommand while it is the only one."""


@app.command("run")
def run_command(
    run_folder: RunFolder, as_json: Json = False, assignments: Assignments = None
) -> None:
    """Blend the models, choose the thresholds out of fold, and report the honest score.

    The honest score of an image uses thresholds chosen on the other folds.

    Example:
    goldfold ensemble run runs/first

    Next: goldfold submit write runs/first
    """
    from goldfold.commands import show
    from goldfold.commands.context import ensure_images, open_run
    from goldfold.commands.folds import ensure_folds

    run = open_run(run_folder, assignments)
    images = ensure_images(run)
    report = ensure_ensemble(run, images, ensure_folds(run, images))
    if as_json:
        show.out_json(report)
        return
    print_ensemble(report)
    show.out(f"ensemble: {run.directory.ensemble}")
    show.out(f"next: {run.command('submit write')}")


def open_members(run: Run, split: str) -> list[Member]:
    """Return the members with their stores opened.

    Raises:
        InputError: trainings are not finished, or predictions are missing or outdated.
    """
    from typing import cast

    from goldfold.commands.prediction_stage import Split, expected_folds
    from goldfold.ensemble.blend import open_member
    from goldfold.errors import InputError, list_problems

    models = {model.name: model for model in run.settings.models}
    chosen = run.settings.ensemble.members or list(models)
    weights = run.settings.ensemble.weights or [1] * len(chosen)
    members: list[Member] = []
    problems: list[str] = []
    for name, weight in zip(chosen, weights, strict=True):
        seeds = models[name].seeds
        folds = {fold for seed in seeds for fold in expected_folds(run, name, seed)}
        try:
            member = open_member(
                run.directory.root / "predictions",
                name,
                weight=weight,
                seeds=seeds,
                folds=sorted(folds),
                split=cast("Split", split),
                allow_missing=run.settings.inference.allow_missing_folds,
            )
        except InputError as error:
            problems.append(str(error))
            continue
        members.append(member)
        problems += _outdated(run, member)
    if problems:
        remedy = f"Run `{run.command('predict run')} --{split}`."
        raise InputError(list_problems("predictions are missing or outdated:", problems, remedy))
    return members


def _outdated(run: Run, member: Member) -> list[str]:
    """Return a line for each store that was not made from the present best checkpoints."""
    from goldfold.training.checkpoint import list_checkpoints

    inference = run.settings.inference
    problems = []
    for reader in (reader for readers in member.seeds for reader in readers):
        fold = reader.path.parent.relative_to(run.directory.root / "predictions")
        best = list_checkpoints(run.directory.root / "models" / fold)[: inference.checkpoints]
        wanted = ([checkpoint.sha256 for checkpoint in best], inference.views)
        if (reader.facts.get("checkpoints"), reader.facts.get("views")) != wanted:
            problems.append(f"{reader.path} was made from other checkpoints or views.")
    return problems


def prediction_facts(run: Run, split: str) -> dict[str, str]:
    """Return the fingerprint of what each store was made from, by its path in the run."""
    from goldfold.files import fingerprint, read_json

    facts = {}
    for member in open_members(run, split):
        for readers in member.seeds:
            for reader in readers:
                summary = read_json(reader.path.with_suffix(".json"))
                reader.close()
                name = reader.path.relative_to(run.directory.root).as_posix()
                facts[name] = fingerprint(summary)
    return facts


def ensure_ensemble(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    """Return the content of ensemble.json, made anew if what it is made from changed."""
    from goldfold.commands.context import recorded
    from goldfold.files import fingerprint, write_json

    made_from = {
        "predictions": prediction_facts(run, "out-of-fold"),
        "settings": run.settings.ensemble.model_dump(mode="json"),
        "metric": run.settings.competition.metric,
        "folds": fingerprint(folds.to_dict(orient="list")),
        "masks": fingerprint([list(images["image_id"]), list(images["mask_rle"])]),
    }
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

    members = open_members(run, "out-of-fold")
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
        )
        return build_report(members, assessment, run.settings.competition.metric, facts=made_from)
    finally:
        blend.close()


def print_ensemble(report: dict[str, Any]) -> None:
    """Print the scores, the honest one first, and the thresholds."""
    from goldfold.commands import show

    honest, interval = report["honest"], report["honest"]["interval"]
    counts = report["images"]
    rule = report["rule"]
    scores = [
        [
            "honest",
            f"{honest['score']:.4f}",
            f"thresholds chosen on {honest['chosen_on']}; "
            f"{interval['level']:.0%} interval {interval['low']:.4f} to {interval['high']:.4f}",
        ],
        ["all-empty", f"{report['all_empty']:.4f}", "what predicting nothing scores"],
        ["optimistic", f"{report['optimistic']:.4f}", "thresholds chosen on the same images"],
    ]
    show.out(show.table(["score", report["metric"], ""], scores))
    for fold in honest.get("folds", []):
        show.out(f"  fold {fold['fold']}: {fold['score']:.4f} on {fold['images']} images")
    for name, key in (("non-empty", "non_empty_images"), ("empty", "empty_images")):
        if honest[key] is not None:
            show.out(
                f"  {name} masks: {honest[key]:.4f} on {counts[key.split('_images')[0]]} images"
            )
    show.out(
        f"rule: empty if fewer than {rule['min_area_px']} pixels reach probability "
        f"{rule['top']['probability']:.3f}, else pixels from {rule['bottom']['probability']:.3f}"
    )
