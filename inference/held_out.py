"""Histograms of held-out images straight from networks, without a store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.competitions.histogram import LEVELS, OBJECT_ROWS, PIXEL_ROWS, level_histograms
from goldfold.competitions.objects import read_objects
from goldfold.competitions.rle import Dialect, decode
from goldfold.inference.predictor import Predictor, Seen
from goldfold.progress import SILENT, Progress
from goldfold.training.cache import ImageCache
from goldfold.training.device import Device
from goldfold.training.level_counts import counts_on, device_histograms
from goldfold.training.passes import Passes, join_parts
from goldfold.training.probability import levels_at_size
from goldfold.training.read_ahead import batches_ahead

IntArray = NDArray[np.int64]


def held_out_histograms(
    predictor: Predictor,
    cache: ImageCache,
    image_ids: Sequence[str],
    *,
    sizes: Sequence[tuple[int, int]],
    masks: Sequence[str],
    dialect: Dialect,
    objects: Sequence[str] | None = None,
    batch_size: int = 16,
    progress: Progress = SILENT,
) -> IntArray:
    """Return the histograms of the maps that a predictor gives of labelled images, (N C, 2, 256).

    C is the number of masks of an image; those of one image stand beside each other.

    With objects they are (N, 3, 256).

    Args:
        predictor: networks that have not seen these images.
        cache: the images at the network's size.
        image_ids: N ids.
        sizes: original (height, width) of each.
        masks: N C encoded masks, "" for an empty one.
        dialect: of the masks.
        objects: where the metric compares objects, cells of the column `objects` of images.csv.
        batch_size: images in a forward pass.
        progress: counts images.
    """
    rows = cache.rows(image_ids)
    histograms = empty_histograms(len(masks), objects)

    with progress.task("held out", len(rows)) as task:
        for places, pixels in batches_ahead(cache, rows, batch_size):
            seen = predictor.probability(pixels, [image_ids[place] for place in places])
            count_levels(histograms, places, seen, sizes, masks, dialect, objects)
            task.advance(len(places))
    return histograms


def empty_histograms(count: int, objects: Sequence[str] | None) -> IntArray:
    """Return room for the histograms of images, (N, 2, 256), with objects (N, 3, 256)."""
    return np.zeros((count, PIXEL_ROWS if objects is None else OBJECT_ROWS, LEVELS), np.int64)


@torch.inference_mode()
def count_levels(
    histograms: IntArray,
    places: range,
    seen: Seen,
    sizes: Sequence[tuple[int, int]],
    masks: Sequence[str],
    dialect: Dialect,
    objects: Sequence[str] | None = None,
) -> None:
    """Fill in the histograms of a batch.

    Args:
        histograms: of `empty_histograms`, changed in place.
        places: of the batch's images.
        seen: what was predicted of them.
        sizes: original (height, width) of all N images.
        masks: N C encoded masks of all.
        dialect: of the masks.
        objects: of all, as in `held_out_histograms`.
    """
    classes = len(masks) // len(sizes)
    wanted = range(places.start * classes, places.stop * classes)
    true = [
        decode(masks[place], *sizes[place // classes], dialect) if masks[place] else None
        for place in wanted
    ]
    chosen = [sizes[place] for place in places]
    device = Device(seen[0].device, None, str(seen[0].device))
    if objects is None and counts_on(device):

        def count(part: slice) -> torch.Tensor:
            of_part = true[part.start * classes : part.stop * classes]
            return device_histograms(seen[0][part], chosen[part], of_part)

        counts = join_parts(Passes().in_halves(len(places), count, device))
        histograms[wanted.start : wanted.stop] = counts.cpu().numpy()
        return
    maps = levels_at_size(seen[0], chosen)
    for place, mask, levels in zip(wanted, true, maps, strict=True):
        height, width = sizes[place // classes]
        cell = None if objects is None else objects[place]
        lesions = None if cell is None else read_objects(cell, height, width, dialect)
        histograms[place] = level_histograms(levels, mask, lesions)
