"""`goldfold export`: the finished model of a run, for use anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goldfold.commands.options import Assignments, Overwrite, RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.commands.context import Run
    from goldfold.ensemble.image_model import ImageModel, ModelMember
    from goldfold.ensemble.mask_choice import MaskChoice

QUANTILES = 1001
"""Of a member's out-of-fold probabilities that are kept where classes are blended by rank."""


def export(
    run_folder: RunFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")],
    onnx: Annotated[
        bool,
        typer.Option("--onnx", help="Write an ONNX file of each member, too (extra `onnx`)."),
    ] = False,
    overwrite: Overwrite = False,
    assignments: Assignments = None,
) -> None:
    """Write weights, settings, thresholds and a model card into a folder that needs no data.

    The networks are those that the run predicts with: of every fold the best checkpoints, or their
    average where inference.average says so.

    Example:
    goldfold export runs/first -o models/first

    Next: goldfold predict image models/first IMAGE...
    """
    import shlex

    from goldfold.commands import show
    from goldfold.commands.context import ensure_images, open_run
    from goldfold.commands.export_stage import write_model
    from goldfold.commands.folds_stage import require_folds

    run = open_run(run_folder, assignments)
    images = ensure_images(run)
    model = model_of_run(run, images, require_folds(run, images))
    written = write_model(run, model, output, onnx=onnx, overwrite=overwrite)
    size = sum(path.stat().st_size for path in written) / 1e6
    show.out(f"model: {output}, {len(written)} files, {size:.1f} MB")
    show.out(f"next: goldfold predict image {shlex.quote(str(output))} IMAGE...")


def model_of_run(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> ImageModel:
    """Return the model that a run's test predictions go through.

    Raises:
        InputError: trainings or ensemble are missing or outdated.
    """
    from goldfold.commands.ensemble_stage import require_ensemble
    from goldfold.commands.prediction_networks import predicting_device
    from goldfold.ensemble.image_model import ImageModel
    from goldfold.errors import InputError
    from goldfold.files import read_json

    require_ensemble(run, images, folds)
    chosen = read_json(run.directory.ensemble)
    if "honest" not in chosen:
        raise InputError(
            f"{run.directory.ensemble} holds no honest score, so it is not whole. Run "
            f"`{run.command('ensemble run')}` again."
        )
    members = _members(run, images, folds, chosen)
    return ImageModel(_facts(run, chosen), members, predicting_device(run))


def _facts(run: Run, chosen: dict[str, Any]) -> dict[str, Any]:
    from goldfold import __version__
    from goldfold.competitions.image import reading_of
    from goldfold.ensemble.image_model import FORMAT
    from goldfold.ensemble.mask_choice import describe_choice
    from goldfold.ensemble.post_processing import NOTHING
    from goldfold.ensemble.report import read_rule

    form, inference = run.settings.competition, run.settings.inference
    reading = reading_of(form.images)
    facts: dict[str, Any] = {
        "format": FORMAT,
        "goldfold": __version__,
        "title": form.title,
        "task": form.task,
        "classes": form.classes if form.is_classification else [],
        "exclusive": form.exclusive,
        "mirror": form.mirror,
        "metric": form.metric,
        "dialect": form.submission.dialect,
        "reading": {
            "windows": [[one.center, one.width, one.function] for one in reading.windows],
            "repair": reading.repair,
            "crop": reading.crop,
            "stretch": reading.stretch,
        },
        "inference": {
            "views": inference.views,
            "merge": inference.merge,
            "tile": inference.tile,
            "tile_overlap": inference.tile_overlap,
        },
        "scores": {
            name: chosen.get(name) for name in ("honest", "optimistic", "all_empty", "constant")
        },
        "images": chosen["images"],
    }
    if form.mask_classes:
        facts["masks"] = [  # in the order of the network's outputs
            {"name": name, **describe_choice(_choice(run, chosen["classes"][name], name))}
            for name in form.mask_classes
        ]
        facts["overlap"] = [
            {"class": name, **row}
            for name in form.mask_classes
            for row in chosen["classes"][name].get("overlap", [])
        ]
        return facts
    facts["merge"] = chosen["merge"]
    if form.is_classification:
        facts["thresholds"] = [chosen["thresholds"][name] for name in form.classes]
        facts["measures"] = chosen["measures"]
    else:
        rule = read_rule(run.directory.ensemble)
        facts["rule"] = [rule.top, rule.min_area, rule.bottom, rule.gate]
        facts["post_processing"] = chosen.get("post_processing", vars(NOTHING))
        facts["overlap"] = chosen.get("overlap", [])
    return facts


def _members(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, chosen: dict[str, Any]
) -> list[ModelMember]:
    from goldfold.commands.prediction_networks import predicting_checkpoints
    from goldfold.commands.prediction_stage import image_size, ready_jobs
    from goldfold.ensemble.image_model import FoldNetworks, ModelMember
    from goldfold.errors import InputError

    if run.settings.competition.mask_classes:
        chosen = _members_of_all(chosen["classes"])
    jobs = ready_jobs(run, images, folds)
    own = {model.name: model for model in run.settings.models}
    members = []
    for one in chosen["members"]:
        if one["weight"] == 0:
            continue
        if one["name"] not in own:
            raise InputError(
                f"the blend holds {one['name']} of another run. Blend without it for the export: "
                f"`{run.command('ensemble run')} --set 'ensemble.runs=[]'`."
            )
        its = [job for job in jobs if job.model.name == one["name"]]
        members.append(
            ModelMember(
                one["name"],
                one["weight"],
                own[one["name"]].channels,
                image_size(run, its[0]),
                tuple(
                    FoldNetworks(job.seed, job.fold, tuple(predicting_checkpoints(run, job)))
                    for job in its
                ),
                one.get("level_counts"),
            )
        )
    if run.settings.competition.is_classification and chosen["merge"] == "rank":
        return _with_quantiles(run, images, folds, members)
    return members


def _choice(run: Run, content: dict[str, Any], name: str) -> MaskChoice:
    """Return what ensemble.json says of the masks of a class."""
    from goldfold.ensemble.mask_choice import MaskChoice
    from goldfold.ensemble.report import read_post_processing, read_rule

    path = run.directory.ensemble
    return MaskChoice(
        content["merge"],
        {one["name"]: one["weight"] for one in content["members"]},
        read_rule(path, name),
        read_post_processing(path, name),
        {one["name"]: one["level_counts"] for one in content["members"] if "level_counts" in one},
    )


def _members_of_all(classes: dict[str, Any]) -> dict[str, Any]:
    """Return the members that any class blends, each with its largest weight."""
    found: dict[str, int] = {}
    for one in classes.values():
        for member in one["members"]:
            found[member["name"]] = max(found.get(member["name"], 0), member["weight"])
    members = [{"name": name, "weight": weight} for name, weight in found.items()]
    return {"members": members, "merge": next(iter(classes.values()))["merge"]}


def _with_quantiles(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, members: list[ModelMember]
) -> list[ModelMember]:
    """Return the members with what ranks are counted in."""
    from dataclasses import replace

    import numpy as np

    from goldfold.commands.label_members import open_label_members

    known = open_label_members(run, images, folds, "out-of-fold")
    tables = dict(zip(known.names, known.probability, strict=True))
    shares = np.linspace(0, 1, QUANTILES)
    return [
        replace(one, level_counts=np.quantile(tables[one.name], shares, axis=0).tolist())
        for one in members
    ]
