"""The model that a run's test predictions go through, for use without the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goldfold.ensemble.image_model import ImageModel, ModelMember
    from goldfold.ensemble.mask_choice import MaskChoice
    from goldfold.pipeline.open_run import OpenRun

QUANTILES = 1001
"""Of a member's out-of-fold probabilities that are kept where classes are blended by rank."""


def model_of_run(run: OpenRun) -> ImageModel:
    """Return the model that a run's test predictions go through.

    Raises:
        InputError: trainings or ensemble are missing or outdated.
    """
    from goldfold.ensemble.image_model import ImageModel
    from goldfold.errors import InputError
    from goldfold.files import read_json
    from goldfold.pipeline.engine_choice import predicting_device
    from goldfold.pipeline.ensemble_stage import require_ensemble

    require_ensemble(run)
    chosen = read_json(run.directory.ensemble)
    if "honest" not in chosen:
        raise InputError(
            f"{run.directory.ensemble} holds no honest score, so it is not whole. Run "
            f"`{run.command('ensemble run')}` again."
        )
    members = _members(run, chosen)
    return ImageModel(_facts(run, chosen), members, predicting_device(run))


def _facts(run: OpenRun, chosen: dict[str, Any]) -> dict[str, Any]:
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


def _members(run: OpenRun, chosen: dict[str, Any]) -> list[ModelMember]:
    from goldfold.ensemble.image_model import FoldNetworks, ModelMember
    from goldfold.errors import InputError
    from goldfold.pipeline.checkpoint_choice import predicting_checkpoints
    from goldfold.pipeline.predictions import image_size, ready_jobs

    if run.settings.competition.mask_classes:
        chosen = _members_of_all(chosen["classes"])
    jobs = ready_jobs(run)
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
        return _with_quantiles(run, members)
    return members


def _choice(run: OpenRun, content: dict[str, Any], name: str) -> MaskChoice:
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


def _with_quantiles(run: OpenRun, members: list[ModelMember]) -> list[ModelMember]:
    """Return the members with what ranks are counted in."""
    from dataclasses import replace

    import numpy as np

    from goldfold.pipeline.class_members import open_label_members

    known = open_label_members(run, "out-of-fold")
    tables = dict(zip(known.names, known.probability, strict=True))
    shares = np.linspace(0, 1, QUANTILES)
    return [
        replace(one, level_counts=np.quantile(tables[one.name], shares, axis=0).tolist())
        for one in members
    ]
