"""What each view of the test-time augmentation gains where classes are predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from goldfold.ensemble.labels import JudgedLabels, Truth
    from goldfold.pipeline.jobs import Job
    from goldfold.pipeline.open_run import OpenRun

    FloatArray = NDArray[np.float64]


def compare_label_views(
    run: OpenRun,
    jobs: Sequence[Job],
    names: list[str],
    sets: Mapping[str, tuple[int, ...]],
) -> dict[str, Any]:
    """Return what sets of views score on the held-out images of a model, as plain values.

    Args:
        run: the run.
        jobs: fold trainings of one model.
        names: of the views.
        sets: their places, by what a set is called; gains are counted from the first.
    """
    import numpy as np

    from goldfold.pipeline.view_sets import rows_of_sets

    tables, ids, seconds = [], [], np.zeros(len(names))
    for job in jobs:
        found, its, took = _job_labels(run, job, names, list(sets.values()))
        tables.append(found)
        ids.append(its)
        seconds += took
    image_ids, seen = mean_by_image(ids, tables)
    judgement = LabelJudgement(run, image_ids)
    judged = [judgement.judge(one) for one in seen]
    rows = rows_of_sets(
        sets,
        [one.honest for one in judged],
        judgement.gains(judged[0], judged),
        seconds / sum(len(one) for one in ids),
    )
    return {
        "model": jobs[0].model.name,
        "metric": judgement.truth.metric,
        "images": len(image_ids),
        "sets": rows,
    }


def mean_by_image(
    ids: Sequence[Sequence[str]], tables: Sequence[FloatArray]
) -> tuple[list[str], FloatArray]:
    """Return ids, sorted, and what is said of each, averaged where several jobs say it.

    Seeds of a model predict the same images; a score of the whole set wants each image once.

    Args:
        ids: of each job, n ids.
        tables: of each job, (ways, n, C).

    Returns:
        N ids, and (ways, N, C).
    """
    import numpy as np

    names, place = np.unique(np.concatenate([list(one) for one in ids]), return_inverse=True)
    by_image = np.concatenate(tables, axis=1).swapaxes(0, 1)
    total = np.zeros((len(names), *by_image.shape[1:]))
    np.add.at(total, place, by_image)
    return names.tolist(), (total / np.bincount(place)[:, None, None]).swapaxes(0, 1)


class LabelJudgement:
    """Judges ways to predict the classes of training images, out of fold."""

    def __init__(self, run: OpenRun, image_ids: Sequence[str]) -> None:
        """Take the images that all ways predict."""
        from goldfold.ensemble.honest import number_groups, parts_of
        from goldfold.pipeline.class_ensemble import truth_of

        table = run.folds.set_index("image_id").loc[list(image_ids)]
        groups = list(table["group"])
        self.settings = run.settings.ensemble
        self.truth: Truth = truth_of(run, run.images, image_ids)
        self.parts = parts_of(table["fold"].to_numpy(), groups, self.settings.seed)
        self.groups = number_groups(groups)

    def judge(self, probability: FloatArray) -> JudgedLabels:
        """Return probabilities (N, C) with thresholds that were chosen on the other folds."""
        from goldfold.ensemble.labels import cross_fit_labels

        return cross_fit_labels(self.truth, self.parts, lambda _: probability)

    def gains(self, base: JudgedLabels, others: Sequence[JudgedLabels]) -> list[dict[str, Any]]:
        """Return what each of several ways gains over a first one, as JSON values."""
        from dataclasses import asdict

        from goldfold.ensemble.label_gain import label_gains
        from goldfold.pipeline.class_ensemble import plain

        found = label_gains(
            self.truth,
            base,
            others,
            self.groups,
            samples=self.settings.bootstrap_samples,
            seed=self.settings.seed,
        )
        return [{key: plain(value) for key, value in asdict(one).items()} for one in found]


def _job_labels(
    run: OpenRun,
    job: Job,
    names: list[str],
    sets: Sequence[tuple[int, ...]],
) -> tuple[FloatArray, list[str], FloatArray]:
    """Return probabilities of a fold's held-out images, their ids, and seconds a view.

    The probabilities are (sets, n, C). Every view is seen once; sets are merged from what was seen.
    """
    from functools import partial

    import numpy as np

    from goldfold.inference.labels import merged_labels, see_labels
    from goldfold.inference.merge import Merger
    from goldfold.inference.views import get_views
    from goldfold.pipeline.held_out import held_out_images
    from goldfold.pipeline.image_caches import training_cache
    from goldfold.pipeline.networks import Networks
    from goldfold.pipeline.predictions import image_size
    from goldfold.pipeline.view_sets import timed_views
    from goldfold.training.batch import network_input

    form = run.settings.competition
    cache = training_cache(run, image_size(run, job), job.model.channels)
    ids = list(held_out_images(run, job)["image_id"])
    predictor = Networks(run, job).predictor(cache)
    views, device, rows = get_views(names), predictor.device, cache.rows(ids)
    found = np.zeros((len(sets), len(ids), len(form.classes)))
    seconds = np.zeros(len(views))
    look = partial(see_labels, exclusive=form.exclusive)
    size = run.settings.inference.batch_size
    title = f"views {job.model.name} seed-{job.seed} fold-{job.fold}"
    with run.progress.task(title, len(rows)) as task:
        for start in range(0, len(rows), size):
            pixels = np.stack([cache.pixels[row] for row in rows[start : start + size]])
            inputs = network_input(pixels, device.device, channels_last=device.channels_last)
            batch_ids = ids[start : start + size]
            seen, took = timed_views(predictor, views, inputs, look, batch_ids)
            seconds += took
            for number, chosen in enumerate(sets):
                merger = Merger(predictor.merge)
                # Networks outermost, as predictions are merged, so that both are the same bits.
                for network in range(len(predictor.networks)):
                    for place in chosen:
                        merger.add(seen[place][network])
                merged = merged_labels(merger, form.exclusive)
                found[number, start : start + len(pixels)] = merged
            task.advance(len(pixels))
    return found, ids, seconds
