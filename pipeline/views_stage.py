"""What each view of the test-time augmentation gains out of fold, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from numpy.typing import NDArray

    from goldfold.inference.predictor import Network
    from goldfold.inference.views import View
    from goldfold.pipeline.jobs import Job
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.training.device import Device


def compare_views(run: OpenRun, views: str | list[str]) -> list[dict[str, Any]]:
    """Return, model by model, what sets of views score on the held-out images.

    The sets: all views, each one alone, and all but each one. Plain values; written to views.json
    in the run directory as well.

    Raises:
        InputError: a fold has no finished training, or there is no such view.
    """
    from goldfold.files import write_json
    from goldfold.inference.views import get_views
    from goldfold.pipeline.predictions import ready_jobs

    made = get_views(views)
    jobs = ready_jobs(run)
    found = []
    for name in dict.fromkeys(job.model.name for job in jobs):
        of_model = [job for job in jobs if job.model.name == name]
        found.append(_compare(run, of_model, [view.name for view in made]))
    write_json(run.directory.root / "views.json", found)
    return found


def _compare(run: OpenRun, jobs: Sequence[Job], names: list[str]) -> dict[str, Any]:
    import numpy as np

    from goldfold.ensemble.honest import group_interval, number_groups, parts_of
    from goldfold.ensemble.several import cross_fit_classes
    from goldfold.pipeline.view_sets import rows_of_sets, sets_of

    if run.settings.competition.is_classification:
        from goldfold.pipeline.class_views import compare_label_views

        return compare_label_views(run, jobs, names, sets_of(names))
    sets = sets_of(names)
    tables, held_out, seconds = [], [], np.zeros(len(names))
    for job in jobs:
        histograms, one, took = _job_histograms(run, job, names, list(sets.values()))
        tables.append(histograms)
        held_out.append(one)
        seconds += took
    fold_of = np.concatenate([one["fold"].to_numpy() for one in held_out])
    groups = [group for one in held_out for group in one["group"]]
    settings = run.settings.ensemble
    parts, numbers = parts_of(fold_of, groups, settings.seed), number_groups(groups)
    metric = run.settings.competition.metric
    everything = np.concatenate(tables, axis=1)  # (sets, N C, 2 or 3, 256)
    masks = run.settings.competition.outputs
    scores = [
        cross_fit_classes(one, parts, metric, classes=masks, choice=settings.rule)
        for one in everything
    ]
    gains = []
    for score in scores:
        gap = score - scores[0]
        interval = group_interval(
            gap, numbers, samples=settings.bootstrap_samples, seed=settings.seed
        )
        gains.append({"mean": float(gap.mean()), "low": interval.low, "high": interval.high})
    honest = [float(score.mean()) for score in scores]
    rows = rows_of_sets(sets, honest, gains, seconds / len(fold_of))
    return {"model": jobs[0].model.name, "metric": metric, "images": len(fold_of), "sets": rows}


def _job_histograms(
    run: OpenRun,
    job: Job,
    names: list[str],
    sets: Sequence[tuple[int, ...]],
) -> tuple[NDArray[np.int64], pd.DataFrame, NDArray[np.float64]]:
    """Return histograms of a fold's held-out images, these, and seconds a view.

    The histograms are (sets, N C, 2, 256), with objects (sets, N, 3, 256). Every view is seen once;
    sets are merged from what was seen.
    """
    import numpy as np

    from goldfold.competitions.images_table import object_cells
    from goldfold.competitions.rle import get_dialect
    from goldfold.inference.held_out import count_levels, empty_histograms
    from goldfold.inference.merge import Merger
    from goldfold.inference.views import get_views
    from goldfold.pipeline.held_out import held_out_images
    from goldfold.pipeline.image_caches import encoded_masks, training_cache
    from goldfold.pipeline.networks import Networks
    from goldfold.pipeline.predictions import image_size
    from goldfold.pipeline.view_sets import timed_views
    from goldfold.training.batch import network_input

    cache = training_cache(run, image_size(run, job), job.model.channels)
    held_out = held_out_images(run, job)
    form = run.settings.competition
    predictor = Networks(run, job).predictor(cache)
    views, device = get_views(names, form.mirror), predictor.device
    image_ids = list(held_out["image_id"])
    rows = cache.rows(image_ids)
    sizes = list(zip(held_out["height"].tolist(), held_out["width"].tolist(), strict=True))
    masks = [text for texts in encoded_masks(form, held_out) for text in texts]
    dialect = get_dialect(form.labels.dialect)
    objects = object_cells(held_out)
    found = np.stack([empty_histograms(len(masks), objects) for _ in sets])
    seconds = np.zeros(len(views))
    size = run.settings.inference.batch_size
    title = f"views {job.model.name} seed-{job.seed} fold-{job.fold}"
    with run.progress.task(title, len(rows)) as task:
        for start in range(0, len(rows), size):
            places = range(start, min(start + size, len(rows)))
            pixels = np.stack([cache.pixels[rows[place]] for place in places])
            inputs = network_input(pixels, device.device, channels_last=device.channels_last)
            ids = [image_ids[place] for place in places]
            seen, took = timed_views(predictor, views, inputs, _look, ids)
            seconds += took
            for number, chosen in enumerate(sets):
                merger = Merger(predictor.merge)
                for place in chosen:
                    for one in seen[place]:
                        merger.add(one)
                merged = (merger.result(), None)
                count_levels(found[number], places, merged, sizes, masks, dialect, objects)
            task.advance(len(places))
    return found, held_out, seconds


def _look(
    network: Network, inputs: torch.Tensor, view: View, device: Device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mask's probability, and for which images all logits are finite."""
    from goldfold.inference.predictor import see

    sight = see(network, inputs, view, device)
    return sight.mask, sight.finite
