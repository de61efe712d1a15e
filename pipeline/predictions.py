"""The predictions of a run: where they are, what they are made from, whether they are current."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from goldfold.competitions.images_table import CONTENT, test_images, training_images
from goldfold.errors import InputError, list_problems
from goldfold.files import fingerprint
from goldfold.image_size import compact_size, height_and_width
from goldfold.pipeline.checkpoint_choice import predicting_checkpoints
from goldfold.pipeline.engine_choice import known_engine
from goldfold.pipeline.fold_trainings import choose_trainings
from goldfold.pipeline.sequences import sequence_facts
from goldfold.pipeline.stage_runs import refuse_other_trainings
from goldfold.rundirectory import recorded

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.image_size import ImageSize
    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun

Split = Literal["out-of-fold", "test"]


def splits_of(run: OpenRun) -> list[Split]:
    """Return what can be predicted: the test images, too, where there are any."""
    return ["out-of-fold", "test"] if len(test_images(run.images)) else ["out-of-fold"]


def ready_jobs(run: OpenRun) -> list[FoldTraining]:
    """Return the jobs that can predict.

    Raises:
        InputError: a training is not finished, or was made from other settings or data.
    """
    ready = finished_jobs(run, choose_trainings(run))
    refuse_other_trainings(run, ready)
    return ready


def finished_jobs(run: OpenRun, jobs: Sequence[FoldTraining]) -> list[FoldTraining]:
    """Return the jobs whose training is finished: all, unless missing ones are allowed.

    Raises:
        InputError: some are not finished.
    """
    run.read_tables()
    missing = [job for job in jobs if not (job.folder(run) / "result.json").is_file()]
    ready = [job for job in jobs if job not in missing]
    if missing and not (run.settings.inference.allow_missing_folds and ready):
        title = f"{len(missing)} of {len(jobs)} fold trainings are not finished:"
        remedy = (
            f"Run `{run.command('train run')}`"
            + (
                ", or continue without them: --set inference.allow_missing_folds=true"
                if ready
                else ""
            )
            + "."
        )
        raise InputError(list_problems(title, [str(job.folder(run)) for job in missing], remedy))
    return ready


def store_of(run: OpenRun, job: FoldTraining, split: Split) -> Path:
    """Return the path of a job's predictions."""
    from goldfold.inference.store import maps_path

    predictions = run.directory.root / "predictions"
    return maps_path(predictions, job.model.name, job.seed, job.fold, split)


def is_predicted(path: Path, facts: Mapping[str, Any]) -> bool:
    """Return whether a finished store was made from these facts."""
    return path.is_file() and recorded(path.with_suffix(".json"), "facts") == facts


def discarded_because(path: Path, facts: Mapping[str, Any]) -> str:
    """Return in words why the maps of a store cannot be kept; "" if they can, or there are none."""
    from goldfold.inference.record import HEADER_BYTES, pack_header

    if not path.is_file() or path.stat().st_size <= HEADER_BYTES:
        return ""
    with path.open("rb") as file:
        if file.read(HEADER_BYTES) == pack_header(fingerprint(facts)):
            return ""
    changed = changed_facts(recorded(path.with_suffix(".json"), "facts"), facts)
    return f"{' and '.join(changed) or 'what they were made from'} changed"


def changed_facts(old: object, new: Mapping[str, Any]) -> list[str]:
    """Return the names of the facts of a store that differ from those that it should have.

    >>> changed_facts({"views": "none", "batch_size": 8}, {"views": "hflip", "batch_size": 8})
    ['views']
    """
    known = old if isinstance(old, Mapping) else {}
    return [name for name, value in new.items() if known and known.get(name) != value]


def images_to_predict(run: OpenRun, fold: int, split: Split) -> pd.DataFrame:
    """Return the images to predict, sorted by id.

    Raises:
        InputError: there are none.
    """
    if split == "test":
        chosen = test_images(run.images)
        if chosen.empty:
            globs = " or ".join(run.settings.competition.images.test) or "nothing"
            raise InputError(
                f"{run.settings.competition.data} has no test images "
                f"(competition.images.test looks for {globs}). "
                f"Predict without them: `{run.command('predict run')} --out-of-fold`."
            )
    else:
        train = training_images(run.images)
        chosen = train[train["image_id"].isin(run.fold(fold).held_out)]
    return chosen.sort_values("image_id", ignore_index=True)


def images_fingerprints(run: OpenRun, numbers: Sequence[int], split: Split) -> dict[int, str]:
    """Return, by fold, the fingerprint of the images that its checkpoints predict.

    Raises:
        InputError: there are none.
    """
    if split == "test":
        chosen = images_to_predict(run, 0, split)
        return dict.fromkeys(numbers, _fingerprint_of(chosen))
    return {
        number: _fingerprint_of(images_to_predict(run, number, split)) for number in set(numbers)
    }


def _fingerprint_of(chosen: pd.DataFrame) -> str:

    return fingerprint([list(chosen[name]) for name in ("image_id", "height", "width", CONTENT)])


def store_facts(run: OpenRun, job: FoldTraining, images: str, split: Split) -> dict[str, Any]:
    """Return everything that the maps of a fold depend on.

    Args:
        run: the run.
        job: a fold's training, which is finished.
        images: of `images_fingerprints`.
        split: which maps.
    """
    inference, form = run.settings.inference, run.settings.competition
    names = run.task.row_columns or form.classes
    return {
        "split": split,
        "images": images,
        "checkpoints": [checkpoint.sha256 for checkpoint in predicting_checkpoints(run, job)],
        "views": inference.views,
        **({"mirror": list(form.mirror)} if form.mirror else {}),
        **({"classes": names} if names else {}),
        **({"mask_size": list(form.mask_size)} if form.mask_size else {}),
        "merge": inference.merge,
        "image_size": compact_size(image_size(run, job)),
        **sequence_facts(run, job.model, "test" if split == "test" else "train"),
        "tile": None if inference.tile is None else [inference.tile, inference.tile_overlap],
        "engine": known_engine(run),
        "batch_size": inference.batch_size,
    }


def image_size(run: OpenRun, job: FoldTraining) -> ImageSize:
    """Return the height and width in pixels at which a job's networks see the images."""
    return height_and_width(run.settings.inference.image_size or job.model.stages[-1].image_size)
