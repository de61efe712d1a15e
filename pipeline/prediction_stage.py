"""Predict with every fold's best checkpoints, out of fold and on the test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from goldfold.pipeline.engine_choice import predicting_device, resolve_engine
from goldfold.pipeline.image_caches import training_cache, unlabelled_cache
from goldfold.pipeline.networks import Networks
from goldfold.pipeline.predictions import (
    discarded_because,
    finished_jobs,
    image_size,
    images_fingerprints,
    images_to_predict,
    is_predicted,
    store_facts,
    store_of,
)
from goldfold.pipeline.stage_runs import refuse_other_trainings

if TYPE_CHECKING:
    from goldfold.image_size import ImageSize
    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.predictions import Split
    from goldfold.settings import ModelSettings
    from goldfold.training.cache import ImageCache

    CacheKey = tuple[Split, ImageSize, int, tuple[int, ...]]


def predict_jobs(
    run: OpenRun,
    jobs: Sequence[FoldTraining],
    splits: Sequence[Split],
    share: tuple[int, int] = (0, 1),
) -> None:
    """Predict in this process what is missing of some fold trainings, one after the other.

    Args:
        run: the run.
        jobs: the fold trainings.
        splits: which maps.
        share: (k, n): only every n-th batch from the k-th; the other processes do the others.

    Raises:
        InputError: one of them is not finished, or was made from other settings.
    """
    ready = finished_jobs(run, jobs)
    refuse_other_trainings(run, ready)
    numbers = [job.fold for job in ready]
    prints = {split: images_fingerprints(run, numbers, split) for split in splits}
    resolve_engine(run, ready, splits)
    caches: dict[CacheKey, ImageCache] = {}
    has_warned = False
    for job in ready:
        networks = Networks(run, job)
        for split in splits:
            facts = store_facts(run, job, prints[split][job.fold], split)
            if not has_warned and not is_predicted(store_of(run, job, split), facts):
                has_warned = True
                _warn_of_device(run)
            _predict_one(run, networks, split, facts, caches, share)


def _warn_of_device(run: OpenRun) -> None:
    """Say why a GPU that seems to be there does not predict."""
    if note := predicting_device(run).note:
        run.progress.warn(note)


def _predict_one(
    run: OpenRun,
    networks: Networks,
    split: Split,
    facts: dict[str, Any],
    caches: dict[CacheKey, ImageCache],
    share: tuple[int, int],
) -> None:
    """Predict one split with one fold's checkpoints, or say that it is up to date.

    `caches` holds image caches by split, size, channels and neighbours; one that is missing is
    added.

    Raises:
        LeakError: the checkpoints have seen an image that they are to predict out of fold.
    """
    from goldfold.inference.predict import predict_arrays
    from goldfold.inference.store import MapWriter

    job = networks.job
    name = f"predict {job.model.name} seed-{job.seed} fold-{job.fold} {split}"
    path = store_of(run, job, split)
    if is_predicted(path, facts):
        run.progress.say(f"{name}: up to date")
        return
    chosen = images_to_predict(run, job.fold, split)
    form = (split, image_size(run, job), job.model.channels, tuple(job.model.neighbours))
    if form not in caches:
        caches[form] = _cache_of(run, split, form[1], job.model)
    if split == "out-of-fold":
        read = caches[form].ids_read(caches[form].rows(chosen["image_id"]))
        run.fold(job.fold).require_held_out(read, "out-of-fold prediction")
    discarded = discarded_because(path, facts)
    records = len(run.task.records)  # of an image
    with MapWriter(path, facts, restart=True, shared=share[1] > 1) as writer:
        if discarded:
            run.progress.say(f"{name}: predicting anew, because {discarded}")
        if len(writer):
            done = len(writer) // records
            run.progress.say(f"{name}: resuming after {done:,} of {len(chosen):,} images")
        predictor = networks.predictor(caches[form])
        run.progress.say(f"{name}: {networks.description}")
        predict_arrays(
            run.task.forward(predictor, chosen),
            caches[form],
            list(chosen["image_id"]),
            writer,
            names=run.task.records,
            batch_size=run.settings.inference.batch_size,
            share=share,
            workers=run.workers,
            progress=run.progress,
        )
        if writer.holds(len(chosen) * records):
            writer.finish()
        else:
            done = len(writer) // records
            run.progress.say(
                f"{name}: {done:,} of {len(chosen):,} images; other processes predict the rest"
            )


def _cache_of(run: OpenRun, split: Split, size: ImageSize, model: ModelSettings) -> ImageCache:
    """Return a split's images at a size, as a model sees them."""
    build = training_cache if split == "out-of-fold" else unlabelled_cache
    return build(run, size, model)
