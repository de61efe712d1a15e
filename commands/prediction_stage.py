"""Predict with every fold's best checkpoints, out of fold and on the test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.commands.context import Run
    from goldfold.commands.training_stage import Job
    from goldfold.training.cache import ImageCache

Split = Literal["out-of-fold", "test"]


def predict_all(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, splits: Sequence[Split]
) -> None:
    """Predict what is missing, model by model, fold by fold.

    Raises:
        InputError: a fold has no finished training, or one made from other settings, or there
            are no images to predict.
    """
    ready = ready_jobs(run, images, folds)
    for split in splits:
        prints = images_fingerprints(run, images, folds, [job.fold for job in ready], split)
        caches: dict[tuple[int, int], ImageCache] = {}
        for job in ready:
            facts = store_facts(run, job.folder(run), prints[job.fold], split)
            _predict_one(run, job, images, folds, split, facts, caches)


def ready_jobs(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> list[Job]:
    """Return the jobs that can predict.

    Raises:
        InputError: a training is not finished, or was made from other settings or data.
    """
    from goldfold.commands.training_stage import choose_jobs, refuse_other_trainings

    ready = finished_jobs(run, choose_jobs(run))
    refuse_other_trainings(run, ready, images, folds)
    return ready


def expected_folds(run: Run, model: str, seed: int) -> list[int]:
    """Return the folds of a model whose training is finished, all unless missing is allowed."""
    from goldfold.commands.training_stage import choose_jobs

    jobs = [job for job in choose_jobs(run, model=model) if job.seed == seed]
    return [job.fold for job in finished_jobs(run, jobs)]


def finished_jobs(run: Run, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs whose training is finished: all, unless missing ones are allowed.

    Raises:
        InputError: some are not finished.
    """
    from goldfold.errors import InputError, list_problems

    missing = [job for job in jobs if not (job.folder(run) / "result.json").is_file()]
    ready = [job for job in jobs if job not in missing]
    if missing and not (run.settings.inference.allow_missing_folds and ready):
        title = f"{len(missing)} of {len(jobs)} fold trainings are not finished:"
        remedy = (
            f"Run `{run.command('train run')}`"
            + (", or go without them: --set inference.allow_missing_folds=true" if ready else "")
            + "."
        )
        raise InputError(list_problems(title, [str(job.folder(run)) for job in missing], remedy))
    return ready


def store_of(run: Run, job: Job, split: Split) -> Path:
    """Return the path of a job's maps."""
    from goldfold.inference.store import maps_path

    predictions = run.directory.root / "predictions"
    return maps_path(predictions, job.model.name, job.seed, job.fold, split)


def is_predicted(path: Path, facts: Mapping[str, Any]) -> bool:
    """Return whether a finished store was made from these facts."""
    from goldfold.commands.context import recorded

    return path.is_file() and recorded(path.with_suffix(".json"), "facts") == facts


def discarded_because(path: Path, facts: Mapping[str, Any]) -> str:
    """Return in words why the maps of a store cannot be kept; "" if they can, or there are none."""
    from goldfold.commands.context import recorded
    from goldfold.files import fingerprint
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


def _predict_one(
    run: Run,
    job: Job,
    images: pd.DataFrame,
    folds: pd.DataFrame,
    split: Split,
    facts: dict[str, Any],
    caches: dict[tuple[int, int], ImageCache],
) -> None:
    """Predict one split with one fold's checkpoints, or say that it is up to date.

    `caches` holds the split's image caches by size and channels; one that is missing is added.
    """
    from goldfold.inference.predict import predict_maps
    from goldfold.inference.store import MapWriter
    from goldfold.training.checkpoint import list_checkpoints, load_model
    from goldfold.training.device import choose_device

    name = f"predict {job.model.name} seed-{job.seed} fold-{job.fold} {split}"
    path = store_of(run, job, split)
    if is_predicted(path, facts):
        run.progress.say(f"{name}: up to date")
        return
    checkpoints = list_checkpoints(job.folder(run))[: run.settings.inference.checkpoints]
    chosen = _images_of(run, images, folds, job.fold, split)
    device = choose_device(run.settings.training.precision, run.settings.training.channels_last)
    form = (job.model.stages[-1].image_size, job.model.channels)
    if form not in caches:
        caches[form] = _cache_of(run, images, split, *form)
    discarded = discarded_because(path, facts)
    with MapWriter(path, facts, restart=True) as writer:
        if discarded:
            run.progress.say(f"{name}: predicting anew, because {discarded}")
        if len(writer):
            run.progress.say(f"{name}: going on after {len(writer):,} of {len(chosen):,} images")
        run.progress.say(f"{name}: {len(checkpoints)} checkpoints, {device.description}")
        predict_maps(
            [load_model(checkpoint, device.device) for checkpoint in checkpoints],
            caches[form],
            list(chosen["image_id"]),
            list(zip(chosen["height"].tolist(), chosen["width"].tolist(), strict=True)),
            writer,
            views=run.settings.inference.views,
            batch_size=run.settings.inference.batch_size,
            device=device,
            progress=run.progress,
        )
        writer.finish()


def _images_of(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, fold: int, split: Split
) -> pd.DataFrame:
    """Return the images to predict, sorted by id.

    Raises:
        InputError: there are none.
    """
    from goldfold.competitions.images_table import test_images, training_images
    from goldfold.errors import InputError

    if split == "test":
        chosen = test_images(images)
        if chosen.empty:
            globs = " or ".join(run.settings.competition.images.test) or "nothing"
            raise InputError(
                f"{run.settings.competition.data} has no test images "
                f"(competition.images.test looks for {globs}). "
                f"Predict without them: `{run.command('predict run')} --out-of-fold`."
            )
    else:
        held_out = folds.loc[folds["fold"] == fold, "image_id"]
        train = training_images(images)
        chosen = train[train["image_id"].isin(held_out)]
    return chosen.sort_values("image_id", ignore_index=True)


def images_fingerprints(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, numbers: Sequence[int], split: Split
) -> dict[int, str]:
    """Return, by fold, the fingerprint of the images that its checkpoints predict.

    Raises:
        InputError: there are none.
    """
    if split == "test":
        chosen = _images_of(run, images, folds, 0, split)
        return dict.fromkeys(numbers, _fingerprint_of(run, chosen))
    return {
        number: _fingerprint_of(run, _images_of(run, images, folds, number, split))
        for number in set(numbers)
    }


def _fingerprint_of(run: Run, chosen: pd.DataFrame) -> str:
    from goldfold.files import fingerprint

    data = run.settings.competition.data
    rows = [
        [image_id, height, width, (data / path).stat().st_size]
        for image_id, height, width, path in zip(
            chosen["image_id"],
            chosen["height"].tolist(),
            chosen["width"].tolist(),
            chosen["path"],
            strict=True,
        )
    ]
    return fingerprint(rows)


def store_facts(run: Run, folder: Path, images: str, split: Split) -> dict[str, Any]:
    """Return everything that the maps of a fold depend on.

    Args:
        run: the run.
        folder: of the fold's training, which is finished.
        images: of `images_fingerprints`.
        split: which maps.
    """
    from goldfold.training.checkpoint import list_checkpoints

    checkpoints = list_checkpoints(folder)[: run.settings.inference.checkpoints]
    return {
        "split": split,
        "images": images,
        "checkpoints": [checkpoint.sha256 for checkpoint in checkpoints],
        "views": run.settings.inference.views,
        "batch_size": run.settings.inference.batch_size,
    }


def _cache_of(run: Run, images: pd.DataFrame, split: Split, size: int, channels: int) -> ImageCache:
    from goldfold.commands.training_data import training_cache, unlabelled_cache

    build = training_cache if split == "out-of-fold" else unlabelled_cache
    return build(run, images, size, channels)
