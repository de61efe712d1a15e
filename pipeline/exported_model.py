"""The model that a run's test predictions go through, for use without the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from goldfold import __version__
from goldfold.competitions.rle import get_dialect
from goldfold.errors import InputError
from goldfold.files import read_json
from goldfold.pipeline.checkpoint_choice import predicting_checkpoints
from goldfold.pipeline.engine_choice import predicting_device
from goldfold.pipeline.ensemble_stage import require_ensemble
from goldfold.pipeline.members import Members
from goldfold.pipeline.predictions import image_size, ready_jobs

if TYPE_CHECKING:
    from goldfold.pipeline.image_model import ImageModel, ModelMember
    from goldfold.pipeline.open_run import OpenRun


def model_of_run(run: OpenRun) -> ImageModel:
    """Return the model that a run's test predictions go through.

    Raises:
        InputError: trainings or ensemble are missing or outdated.
    """
    from goldfold.pipeline.image_model import ImageModel

    require_ensemble(run)
    chosen = read_json(run.directory.ensemble)
    if "honest" not in chosen:
        raise InputError(
            f"{run.directory.ensemble} holds no honest score, so it is not whole. Run "
            f"`{run.command('ensemble run')}` again."
        )
    decision = run.task.image_decision(run, Members(run))
    members = _members(run, decision.weights)
    return ImageModel(_facts(run, chosen), members, decision, predicting_device(run))


def _facts(run: OpenRun, chosen: dict[str, Any]) -> dict[str, Any]:
    from goldfold.competitions.image import reading_of
    from goldfold.pipeline.model_file import FORMAT

    form, inference = run.settings.competition, run.settings.inference
    reading = reading_of(form.images)
    return {
        "format": FORMAT,
        "goldfold": __version__,
        "title": form.title,
        "task": form.task,
        "mirror": form.mirror,
        "metric": form.metric,
        "dialect": get_dialect(form.submission.dialect).setting(),
        **({"mask_size": list(form.mask_size)} if form.mask_size else {}),
        "reading": {
            "windows": [[cut.center, cut.width, cut.function] for cut in reading.windows],
            "repair": reading.repair,
            "crop": reading.crop,
            "stretch": reading.stretch,
            "percentiles": reading.percentiles,
            "pages": reading.pages,
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
        "measures": run.task.model_measures(chosen),
    }


def _members(run: OpenRun, weights: Mapping[str, int]) -> list[ModelMember]:
    from goldfold.pipeline.image_model import FoldNetworks, ModelMember

    jobs = ready_jobs(run)
    own = {model.name: model for model in run.settings.models}
    members = []
    for name in (name for name, weight in weights.items() if weight):
        if name not in own and "/" not in name:
            raise InputError(
                f"{run.directory.ensemble} weighs {name!r}, but the models are {', '.join(own)}. "
                f"Run `{run.command('ensemble run')}` again."
            )
        if name not in own:
            raise InputError(
                f"the blend holds {name} of another run. Blend without it for the export: "
                f"`{run.command('ensemble run')} --set 'ensemble.runs=[]'`."
            )
        its = [job for job in jobs if job.model.name == name]
        members.append(
            ModelMember(
                name,
                own[name].channels,
                image_size(run, its[0]),
                tuple(
                    FoldNetworks(job.seed, job.fold, tuple(predicting_checkpoints(run, job)))
                    for job in its
                ),
                tuple(own[name].neighbours),
            )
        )
    return members
