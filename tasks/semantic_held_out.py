"""Held-out images with their true class maps: predictions of networks, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from goldfold.competitions.class_metric import class_weight_list
from goldfold.ensemble.class_map_rule import class_scores
from goldfold.ensemble.intervals import gain_interval
from goldfold.tasks.results import Judgement
from goldfold.tasks.true_class_maps import TrueClasses
from goldfold.tasks.view_sets import timed_views
from goldfold.training.read_ahead import batches_ahead

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from numpy.typing import NDArray

    from goldfold.inference.predictor import Network, Predictor
    from goldfold.inference.views import View
    from goldfold.settings import CompetitionSettings
    from goldfold.tasks.results import Lessons, SetsOfViews
    from goldfold.tasks.run_view import RunView
    from goldfold.training.cache import ImageCache
    from goldfold.training.device import Device
    from goldfold.training.fold_run import FoldData

    Pixels = NDArray[np.int64]
    ClassMap = NDArray[np.uint8]


def semantic_fold_data(form: CompetitionSettings, lessons: Lessons) -> FoldData:
    """Return images to learn from, and held-out ones with their classes at original size."""
    from goldfold.tasks.semantic_validation import HeldOutClassMaps
    from goldfold.training.fold_run import FoldData

    inside = lessons.train.loc[list(lessons.inside)]
    held_out = lessons.train.loc[list(lessons.held_out)].reset_index()
    weights = lessons.stage.loss.class_weights
    given = class_weight_list(form.classes, weights) if isinstance(weights, dict) else []
    return FoldData(
        cache=lessons.cache,
        rows=lessons.cache.rows(lessons.inside),
        non_empty=(inside["area_px"] > 0).to_numpy(),
        validation=HeldOutClassMaps(form, lessons.cache, held_out),
        metric=form.metric,
        weights=lessons.weights,
        pseudo=lessons.pseudo,
        class_weights=tuple(given) if weights else None,
        mirror=form.mirror,
    )


def see_class_maps(
    run: RunView, predictor: Predictor, cache: ImageCache, held_out: pd.DataFrame
) -> Pixels:
    """Return the pixels of the most likely classes of held-out images, int64 (N, 3, C)."""
    import numpy as np

    from goldfold.tasks.semantic_validation import PixelCounter

    true, ids = TrueClasses(run.settings.competition, held_out), list(held_out["image_id"])
    rows, size = cache.rows(ids), run.settings.inference.batch_size
    counts = []

    with (
        PixelCounter(true, run.workers) as counter,
        run.progress.task("held out", len(rows)) as task,
    ):
        for block, pixels in batches_ahead(cache, rows, size, pin=predictor.device.pins_memory):
            count = counter.batch(ids[block.start : block.stop])
            counts.append(count.predicted(predictor, pixels))
            task.advance(len(pixels))
    return np.concatenate(counts)


def see_class_map_sets(
    run: RunView,
    predictor: Predictor,
    cache: ImageCache,
    held_out: pd.DataFrame,
    compared: SetsOfViews,
) -> tuple[Pixels, NDArray[np.float64]]:
    """Return the pixels under each set of views, (sets, N, 3, C), and the seconds of each view."""
    import numpy as np

    from goldfold.inference.merge import Merger
    from goldfold.inference.views import get_views
    from goldfold.tasks.semantic_validation import PixelCounter
    from goldfold.training.batch import network_input

    form, device, ids = run.settings.competition, predictor.device, list(held_out["image_id"])
    true, views = TrueClasses(form, held_out), get_views(list(compared.names), form.mirror)
    rows, size = cache.rows(ids), run.settings.inference.batch_size
    counts = np.zeros((len(compared.sets), len(ids), 3, len(form.classes)), np.int64)
    seconds = np.zeros(len(views))

    with (
        PixelCounter(true, run.workers) as counter,
        run.progress.task(compared.title, len(rows)) as task,
    ):
        for block, pixels in batches_ahead(cache, rows, size, pin=device.pins_memory):
            part = slice(block.start, block.stop)
            count = counter.batch(ids[part])
            inputs = network_input(pixels, device.device, channels_last=device.channels_last)
            seen, took = timed_views(predictor, views, inputs, _look, ids[part])
            seconds += took
            for number, chosen in enumerate(compared.sets):
                merger = Merger(predictor.merge)
                for place in chosen:
                    for probability in seen[place]:
                        merger.add(probability)
                counts[number, part] = count.merged(merger.result())
            task.advance(len(pixels))
    return counts, seconds


def _look(
    network: Network, inputs: torch.Tensor, view: View, device: Device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the classes' probabilities, and for which images all logits are finite."""
    from goldfold.inference.predictor import see

    sight = see(network, inputs, view, device, "softmax")
    return sight.mask, sight.finite


def judge_class_maps(
    run: RunView, ways: Sequence[Sequence[Any]], held_out: Sequence[pd.DataFrame], base: int
) -> Judgement:
    """Return the scores of ways to predict the same images, as `Task.judge`.

    The most likely class counts, without least areas: nothing is chosen, so that all are honest.
    """
    import numpy as np

    settings, metric = run.settings.ensemble, run.settings.competition.metric
    ids = [image_id for table in held_out for image_id in table["image_id"]]
    groups = run.fold_view.group_numbers(ids)
    scores = [class_scores(metric, np.concatenate(list(pixels))) for pixels in ways]
    how = {"samples": settings.bootstrap_samples, "seed": settings.seed}
    gains = [gain_interval(score, scores[base], groups, **how) for score in scores]
    return Judgement([float(score.mean()) for score in scores], gains, len(ids))
