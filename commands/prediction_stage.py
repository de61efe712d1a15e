"""Predict with every fold's best checkpoints, out of fold and on the test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.commands.context import Run
    from goldfold.commands.prediction_networks import Networks
    from goldfold.commands.training_stage import Job
    from goldfold.extent import Extent
    from goldfold.training.cache import ImageCache

Split = Literal["out-of-fold", "test"]


def predict_all(
    run: Run,
    images: pd.DataFrame,
    folds: pd.DataFrame,
    splits: Sequence[Split],
    share: tuple[int, int] = (0, 1),
) -> None:
    """Predict what is missing, model by model, fold by fold.

    Args:
        run: the run.
        images: of the run.
        folds: of the run.
        splits: which maps.
        share: (k, n): only every n-th batch from the k-th; the other processes do the others.

    Raises:
        InputError: a fold has no finished training, or one made from other settings, or there
            are no images to predict.
    """
    from goldfold.commands.prediction_networks import Networks, resolve_engine

    ready = ready_jobs(run, images, folds)
    numbers = [job.fold for job in ready]
    prints = {split: images_fingerprints(run, images, folds, numbers, split) for split in splits}
    resolve_engine(run, ready, images, splits)
    caches: dict[tuple[Split, Extent, int], ImageCache] = {}
    for job in ready:
        networks = Networks(run, job)
        for split in splits:
            facts = store_facts(run, job, prints[split][job.fold], split)
            _predict_one(run, networks, images, folds, split, facts, caches, share)


def ready_jobs(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> list[Job]:
    """Return the jobs that can predict.

    Raises:
        InputError: a training is not finished, or was made from other settings or data.
    """
    from goldfold.commands.training_stage import choose_jobs, refuse_other_trainings

    ready = finished_jobs(run, choose_jobs(run))
    refuse_other_trainings(run, ready, images, folds)
    return ready


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
    """Return the path of a job's maps, or of its table of classes."""
    from goldfold.inference.store import maps_path

    predictions = run.directory.root / "predictions"
    path = maps_path(predictions, job.model.name, job.seed, job.fold, split)
    return path.with_suffix(".csv") if run.settings.competition.is_classification else path


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
    if path.suffix == ".csv" and is_predicted(path, facts):
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
    networks: Networks,
    images: pd.DataFrame,
    folds: pd.DataFrame,
    split: Split,
    facts: dict[str, Any],
    caches: dict[tuple[Split, Extent, int], ImageCache],
    share: tuple[int, int],
) -> None:
    """Predict one split with one fold's checkpoints, or say that it is up to date.

    `caches` holds image caches by split, size and channels; one that is missing is added.
    """
    from goldfold.inference.predict import predict_maps
    from goldfold.inference.store import MapWriter

    job = networks.job
    name = f"predict {job.model.name} seed-{job.seed} fold-{job.fold} {split}"
    path = store_of(run, job, split)
    if is_predicted(path, facts):
        run.progress.say(f"{name}: up to date")
        return
    chosen = _images_of(run, images, folds, job.fold, split)
    if run.settings.competition.is_classification:
        _predict_classes(run, networks, images, chosen, split, facts, caches, share)
        return
    form = (split, image_size(run, job), job.model.channels)
    if form not in caches:
        caches[form] = _cache_of(run, images, *form)
    discarded = discarded_because(path, facts)
    maps = run.settings.competition.outputs  # of an image
    with MapWriter(path, facts, restart=True, shared=share[1] > 1) as writer:
        if discarded:
            run.progress.say(f"{name}: predicting anew, because {discarded}")
        if len(writer):
            done = len(writer) // maps
            run.progress.say(f"{name}: going on after {done:,} of {len(chosen):,} images")
        predictor = networks.predictor(caches[form])
        run.progress.say(f"{name}: {networks.description}")
        predict_maps(
            predictor,
            caches[form],
            list(chosen["image_id"]),
            list(zip(chosen["height"].tolist(), chosen["width"].tolist(), strict=True)),
            writer,
            classes=run.settings.competition.mask_classes or [""],
            batch_size=run.settings.inference.batch_size,
            share=share,
            progress=run.progress,
        )
        if writer.holds(len(chosen) * maps):
            writer.finish()
        else:
            done = len(writer) // maps
            run.progress.say(f"{name}: {done:,} of {len(chosen):,} images; the rest is others'")


def _predict_classes(
    run: Run,
    networks: Networks,
    images: pd.DataFrame,
    chosen: pd.DataFrame,
    split: Split,
    facts: dict[str, Any],
    caches: dict[tuple[Split, Extent, int], ImageCache],
    share: tuple[int, int],
) -> None:
    """Predict the classes of some images; a table is written whole or not at all.

    Raises:
        InputError: several processes are to share the work.
    """
    from goldfold.errors import InputError
    from goldfold.inference.labels import predict_labels, write_labels

    if share[1] > 1:
        raise InputError("--share is for maps; a table of classes is made by one process.")
    job, competition = networks.job, run.settings.competition
    form = (split, image_size(run, job), job.model.channels)
    if form not in caches:
        caches[form] = _cache_of(run, images, *form)
    predictor = networks.predictor(caches[form])
    name = f"predict {job.model.name} seed-{job.seed} fold-{job.fold} {split}"
    run.progress.say(f"{name}: {networks.description}")
    ids = list(chosen["image_id"])
    probability = predict_labels(
        predictor,
        caches[form],
        ids,
        exclusive=competition.exclusive,
        batch_size=run.settings.inference.batch_size,
        progress=run.progress,
    )
    write_labels(store_of(run, job, split), ids, competition.classes, probability, facts)


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
        return dict.fromkeys(numbers, _fingerprint_of(chosen))
    return {
        number: _fingerprint_of(_images_of(run, images, folds, number, split))
        for number in set(numbers)
    }


def _fingerprint_of(chosen: pd.DataFrame) -> str:
    from goldfold.competitions.images_table import CONTENT
    from goldfold.files import fingerprint

    return fingerprint([list(chosen[name]) for name in ("image_id", "height", "width", CONTENT)])


def store_facts(run: Run, job: Job, images: str, split: Split) -> dict[str, Any]:
    """Return everything that the maps of a fold depend on.

    Args:
        run: the run.
        job: a fold's training, which is finished.
        images: of `images_fingerprints`.
        split: which maps.
    """
    from goldfold.commands.prediction_networks import known_engine, predicting_checkpoints
    from goldfold.extent import compact

    inference, form = run.settings.inference, run.settings.competition
    return {
        "split": split,
        "images": images,
        "checkpoints": [checkpoint.sha256 for checkpoint in predicting_checkpoints(run, job)],
        "views": inference.views,
        **({"mirror": list(form.mirror)} if form.mirror else {}),
        **({"classes": form.classes} if form.classes else {}),
        "merge": inference.merge,
        "image_size": compact(image_size(run, job)),
        "tile": None if inference.tile is None else [inference.tile, inference.tile_overlap],
        "engine": known_engine(run),
        "batch_size": inference.batch_size,
    }


def image_size(run: Run, job: Job) -> Extent:
    """Return the height and width in pixels at which a job's networks see the images."""
    from goldfold.extent import extent_of

    return extent_of(run.settings.inference.image_size or job.model.stages[-1].image_size)


def _cache_of(
    run: Run, images: pd.DataFrame, split: Split, size: Extent, channels: int
) -> ImageCache:
    """Return a split's images at a size."""
    from goldfold.commands.training_data import training_cache, unlabelled_cache

    build = training_cache if split == "out-of-fold" else unlabelled_cache
    return build(run, images, size, channels)
