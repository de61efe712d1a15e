"""Predict with every fold's best checkpoints, out of fold and on the test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.commands.context import Run
    from goldfold.commands.train import Job
    from goldfold.training.cache import ImageCache
    from goldfold.training.checkpoint import Checkpoint

Split = Literal["out-of-fold", "test"]


def predict_all(run: Run, images: pd.DataFrame, folds: pd.DataFrame, splits: Sequence[str]) -> None:
    """Predict what is missing, model by model, fold by fold.

    Raises:
        InputError: a fold has no finished training, or one made from other settings, or there
            are no images to predict.
    """
    from goldfold.commands.train import choose_jobs, refuse_other_trainings

    ready = _finished_jobs(run, choose_jobs(run))
    refuse_other_trainings(run, ready, images, folds)
    for split in splits:
        for job in ready:
            _predict_one(run, job, images, folds, cast("Split", split))


def expected_folds(run: Run, model: str, seed: int) -> list[int]:
    """Return the folds of a model whose training is finished, all unless missing is allowed."""
    from goldfold.commands.train import choose_jobs

    jobs = [job for job in choose_jobs(run, model=model) if job.seed == seed]
    return [job.fold for job in _finished_jobs(run, jobs)]


def _finished_jobs(run: Run, jobs: Sequence[Job]) -> list[Job]:
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


def _predict_one(
    run: Run, job: Job, images: pd.DataFrame, folds: pd.DataFrame, split: Split
) -> None:
    """Predict one split with one fold's checkpoints, or say that it is up to date."""
    from goldfold.commands.context import recorded
    from goldfold.inference.predict import predict_maps
    from goldfold.inference.store import MapWriter, maps_path
    from goldfold.training.checkpoint import list_checkpoints, load_model
    from goldfold.training.device import choose_device

    name = f"predict {job.model.name} seed-{job.seed} fold-{job.fold} {split}"
    checkpoints = list_checkpoints(job.folder(run))[: run.settings.inference.checkpoints]
    chosen = _images_of(run, images, folds, job.fold, split)
    facts = _facts(run, chosen, checkpoints, split)
    path = maps_path(run.directory.root / "predictions", job.model.name, job.seed, job.fold, split)
    if path.is_file() and recorded(path.with_suffix(".json"), "facts") == facts:
        run.progress.say(f"{name}: up to date")
        return
    device = choose_device()
    size, channels = job.model.stages[0].image_size, job.model.channels
    cache = _cache_of(run, images, split, size, channels)
    with MapWriter(path, facts, restart=True) as writer:
        if len(writer):
            run.progress.say(f"{name}: going on after {len(writer):,} of {len(chosen):,} images")
        run.progress.say(f"{name}: {len(checkpoints)} checkpoints, {device.description}")
        predict_maps(
            [load_model(checkpoint, device.device) for checkpoint in checkpoints],
            cache,
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


def _facts(
    run: Run, chosen: pd.DataFrame, checkpoints: Sequence[Checkpoint], split: Split
) -> dict[str, Any]:
    """Return everything the maps depend on."""
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
    return {
        "split": split,
        "images": fingerprint(rows),
        "checkpoints": [checkpoint.sha256 for checkpoint in checkpoints],
        "views": run.settings.inference.views,
        "batch_size": run.settings.inference.batch_size,
    }


def _cache_of(run: Run, images: pd.DataFrame, split: Split, size: int, channels: int) -> ImageCache:
    from goldfold.commands.train import training_cache
    from goldfold.competitions.images_table import test_images
    from goldfold.training.cache import build_cache

    if split == "out-of-fold":
        return training_cache(run, images, size, channels)
    test = test_images(images)
    data = run.settings.competition.data
    return build_cache(
        run.directory.cache,
        "test",
        image_ids=list(test["image_id"]),
        paths=[data / path for path in test["path"]],
        sizes=list(zip(test["height"].tolist(), test["width"].tolist(), strict=True)),
        masks=None,
        dialect=None,
        size=size,
        channels=channels,
        workers=run.workers,
        progress=run.progress,
    )
