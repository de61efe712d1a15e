"""What each view of the test-time augmentation gains out of fold, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from goldfold.files import write_json
from goldfold.pipeline.image_caches import training_cache
from goldfold.pipeline.networks import Networks
from goldfold.pipeline.predictions import image_size, images_to_predict, ready_jobs
from goldfold.tasks.results import SetsOfViews
from goldfold.tasks.view_sets import rows_of_sets, sets_of
from goldfold.vocabulary import score_name

if TYPE_CHECKING:
    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun


def compare_views(run: OpenRun, views: str | list[str]) -> list[dict[str, Any]]:
    """Return, model by model, what sets of views score on the held-out images.

    The sets: all views, each one alone, and all but each one. Plain values; written to views.json
    in the run directory as well.

    Raises:
        InputError: a fold has no finished training, or there is no such view.
    """
    from goldfold.inference.views import get_views

    made = get_views(views)
    jobs = ready_jobs(run)
    comparisons = []
    for name in dict.fromkeys(job.model.name for job in jobs):
        of_model = [job for job in jobs if job.model.name == name]
        comparisons.append(_compare(run, of_model, [view.name for view in made]))
    write_json(run.directory.root / "views.json", comparisons)
    return comparisons


def _compare(run: OpenRun, jobs: Sequence[FoldTraining], names: list[str]) -> dict[str, Any]:
    """Return what sets of views score on the held-out images of a model, as plain values."""
    import numpy as np

    sets = sets_of(names)
    seen, tables, seconds = [], [], np.zeros(len(names))
    for job in jobs:
        cache = training_cache(run, image_size(run, job), job.model)
        held_out = images_to_predict(run, job.fold, "out-of-fold")
        judged = cache.ids_read(cache.rows(held_out["image_id"]))
        run.fold(job.fold).require_held_out(judged, "comparing views")
        predictor = Networks(run, job).predictor(cache)
        title = f"views {job.model.name} seed-{job.seed} fold-{job.fold}"
        views = SetsOfViews(names, list(sets.values()), title)
        of_job, took = run.task.see_sets(run, predictor, cache, held_out, views)
        seen.append(of_job)
        tables.append(held_out)
        seconds += took
    ways = [[of_job[place] for of_job in seen] for place in range(len(sets))]
    judgement = run.task.judge(run, ways, tables, base=0)
    each = seconds / sum(len(table) for table in tables)
    return {
        "model": jobs[0].model.name,
        "metric": score_name(run.settings.competition.metric),
        "images": judgement.images,
        "sets": rows_of_sets(sets, judgement.honest, judgement.gains, each),
    }
