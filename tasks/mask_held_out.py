"""Predicted masks of held-out images, and comparisons of ways to predict them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from goldfold.competitions.images_table import mask_columns, mask_sizes, object_cells
from goldfold.competitions.rle import get_dialect
from goldfold.ensemble.intervals import gain_interval
from goldfold.settings_semantic import IGNORED
from goldfold.tasks.results import Judgement
from goldfold.tasks.view_sets import timed_views
from goldfold.training.read_ahead import batches_ahead

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from numpy.typing import NDArray

    from goldfold.competitions.rle import Dialect
    from goldfold.inference.predictor import Network, Predictor
    from goldfold.inference.views import View
    from goldfold.settings import CompetitionSettings
    from goldfold.tasks.results import SetsOfViews
    from goldfold.tasks.run_view import RunView
    from goldfold.training.cache import ImageCache
    from goldfold.training.device import Device

    Histograms = NDArray[np.int64]


def encoded_masks(form: CompetitionSettings, images: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the run-length encodings of each image's masks, in the order of the outputs."""
    columns = [mask_columns(name)[0] for name in form.mask_classes] or ["mask_rle"]
    return list(zip(*(images[column].tolist() for column in columns), strict=True))


def ignored_masks(form: CompetitionSettings, images: pd.DataFrame) -> list[str] | None:
    """Return the encoded ignored pixels of each image; None where all pixels count."""
    return images[mask_columns(IGNORED)[0]].tolist() if form.masks_ignored else None


class HeldOutMasks:
    """Held-out images with their true masks, as the histograms need them.

    Attributes:
        image_ids: N ids.
        sizes: N (height, width) of the masks.
        masks: N C encoded masks, those of one image beside each other.
        dialect: of the masks.
        objects: N cells of the column `objects` where the metric compares objects, else None.
        ignored: N encoded masks of the pixels that do not count, None where all do.
        metric: of the competition.
    """

    def __init__(self, form: CompetitionSettings, held_out: pd.DataFrame) -> None:
        """Take rows of images.csv."""
        self.image_ids: list[str] = list(held_out["image_id"])
        self.sizes = mask_sizes(held_out, form.mask_size)
        self.masks = [text for texts in encoded_masks(form, held_out) for text in texts]
        self.dialect: Dialect = get_dialect(form.labels.dialect)
        self.objects = object_cells(held_out)
        self.ignored = ignored_masks(form, held_out)
        self.metric: str = form.metric


def see_masks(
    run: RunView, predictor: Predictor, cache: ImageCache, held_out: pd.DataFrame
) -> Histograms:
    """Return the histograms of the held-out images' masks, (N C, 2 or 3, 256)."""
    from goldfold.inference.held_out import held_out_histograms

    true = HeldOutMasks(run.settings.competition, held_out)
    return held_out_histograms(
        predictor,
        cache,
        true.image_ids,
        sizes=true.sizes,
        masks=true.masks,
        dialect=true.dialect,
        objects=true.objects,
        ignored=true.ignored,
        metric=true.metric,
        batch_size=run.settings.inference.batch_size,
        progress=run.progress,
    )


def see_mask_sets(
    run: RunView,
    predictor: Predictor,
    cache: ImageCache,
    held_out: pd.DataFrame,
    compared: SetsOfViews,
) -> tuple[Histograms, NDArray[np.float64]]:
    """Return the histograms under each set of views, (sets, N C, 2 or 3, 256), and seconds (V,).

    Every view is seen once; sets are merged from what was seen.
    """
    import numpy as np

    from goldfold.competitions.level_truth import judges_levels
    from goldfold.inference.held_out import count_levels, empty_histograms
    from goldfold.inference.merge import Merger
    from goldfold.inference.views import get_views
    from goldfold.training.batch import network_input

    form, device = run.settings.competition, predictor.device
    true, views = HeldOutMasks(form, held_out), get_views(list(compared.names), form.mirror)
    rows = cache.rows(true.image_ids)
    by_level = judges_levels(true.metric, true.objects)
    histograms = np.stack(
        [empty_histograms(len(true.masks), by_level=by_level) for _ in compared.sets]
    )
    seconds = np.zeros(len(views))
    size = run.settings.inference.batch_size

    with run.progress.task(compared.title, len(rows)) as task:
        for places, pixels in batches_ahead(cache, rows, size, pin=device.pins_memory):
            inputs = network_input(pixels, device.device, channels_last=device.channels_last)
            ids = [true.image_ids[place] for place in places]
            seen, took = timed_views(predictor, views, inputs, look_at_masks, ids)
            seconds += took
            for number, chosen in enumerate(compared.sets):
                merger = Merger(predictor.merge)
                for place in chosen:
                    for probability in seen[place]:
                        merger.add(probability)
                count_levels(
                    histograms[number],
                    places,
                    (merger.result(), None),
                    true.sizes,
                    true.masks,
                    true.dialect,
                    true.objects,
                    true.ignored,
                    true.metric,
                )
            task.advance(len(places))
    return histograms, seconds


def look_at_masks(
    network: Network, inputs: torch.Tensor, view: View, device: Device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mask's probability, and for which images all logits are finite."""
    from goldfold.inference.predictor import see

    sight = see(network, inputs, view, device)
    return sight.mask, sight.finite


def judge_masks(
    run: RunView, ways: Sequence[Sequence[Any]], held_out: Sequence[pd.DataFrame], base: int
) -> Judgement:
    """Return the cross-fitted scores of ways to predict the same masks, as `Task.judge`.

    Ways are compared on the same images, drawn again together.
    """
    import numpy as np

    from goldfold.ensemble.class_masks import cross_fit_classes

    settings, form = run.settings.ensemble, run.settings.competition
    ids = [image_id for table in held_out for image_id in table["image_id"]]
    parts, numbers = run.fold_view.parts(ids, settings.seed), run.fold_view.group_numbers(ids)
    scores = [
        cross_fit_classes(
            np.concatenate(list(histograms)),
            parts,
            form.metric,
            classes=form.outputs,
            choice=settings.rule,
            image_ids=ids,
        )
        for histograms in ways
    ]
    how = {"samples": settings.bootstrap_samples, "seed": settings.seed}
    gains = [gain_interval(score, scores[base], numbers, **how) for score in scores]
    return Judgement([float(score.mean()) for score in scores], gains, len(ids))
