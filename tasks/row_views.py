"""Rows of numbers per image under sets of views, for tasks whose networks see whole images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.tasks.view_sets import timed_views
from goldfold.training.read_ahead import batches_ahead

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.inference.predictor import Predictor
    from goldfold.tasks.results import SetsOfViews
    from goldfold.tasks.run_view import RunView
    from goldfold.training.cache import ImageCache

    FloatArray = NDArray[np.float64]


def see_row_sets(
    run: RunView,
    predictor: Predictor,
    cache: ImageCache,
    held_out: pd.DataFrame,
    compared: SetsOfViews,
    *,
    sums_to_one: bool,
) -> tuple[FloatArray, FloatArray]:
    """Return the rows under each set of views, (sets, N, C), and seconds (V,).

    Every view is seen once; sets are merged from what was seen.

    Args:
        run: the run.
        predictor: of the fold that held the images out.
        cache: the images at the network's size.
        held_out: rows of images.csv.
        compared: the views and the sets that they form.
        sums_to_one: whether a row holds probabilities of exclusive classes.
    """
    from functools import partial

    import numpy as np

    from goldfold.inference.class_prediction import merged_probabilities, view_probabilities
    from goldfold.inference.merge import Merger
    from goldfold.inference.views import get_views
    from goldfold.training.batch import network_input

    device, ids = predictor.device, list(held_out["image_id"])
    views, rows = get_views(list(compared.names)), cache.rows(ids)
    rows_of = np.zeros((len(compared.sets), len(ids), run.settings.competition.outputs))
    seconds = np.zeros(len(views))
    look = partial(view_probabilities, exclusive=sums_to_one)
    size = run.settings.inference.batch_size

    with run.progress.task(compared.title, len(rows)) as task:
        for block, pixels in batches_ahead(cache, rows, size, pin=device.pins_memory):
            start = block.start
            inputs = network_input(pixels, device.device, channels_last=device.channels_last)
            seen, took = timed_views(predictor, views, inputs, look, ids[start : start + size])
            seconds += took
            for number, chosen in enumerate(compared.sets):
                merger = Merger(predictor.merge)
                # Networks outermost, as predictions are merged, so that both are the same bits.
                for network in range(len(predictor.networks)):
                    for place in chosen:
                        merger.add(seen[place][network])
                merged = merged_probabilities(merger.result(), sums_to_one)
                rows_of[number, start : start + len(pixels)] = merged
            task.advance(len(pixels))
    return rows_of, seconds
