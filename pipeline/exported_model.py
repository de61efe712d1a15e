"""The model that a run's test predictions go through, for use without the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goldfold.ensemble.image_model import ImageModel, ModelMember
    from goldfold.pipeline.open_run import OpenRun


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

    form, inference = run.settings.competition, run.settings.inference
    reading = reading_of(form.images)
    facts: dict[str, Any] = {
        "format": FORMAT,
        "goldfold": __version__,
        "title": form.title,
        "task": form.task,
        "classes": run.task.whole_image_classes,
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
    return facts | run.task.model_facts(run, chosen)


def _members(run: OpenRun, chosen: dict[str, Any]) -> list[ModelMember]:
    from goldfold.ensemble.image_model import FoldNetworks, ModelMember
    from goldfold.errors import InputError
    from goldfold.pipeline.checkpoint_choice import predicting_checkpoints
    from goldfold.pipeline.members import Members
    from goldfold.pipeline.predictions import image_size, ready_jobs

    jobs = ready_jobs(run)
    own = {model.name: model for model in run.settings.models}
    members = []
    for one in run.task.blended(chosen):
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
                tuple(own[one["name"]].neighbours),
            )
        )
    return run.task.complete_members(run, Members(run), chosen, members)
