"""Histograms of held-out images straight from networks, without a store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.competitions.histogram import LEVELS, OBJECT_ROWS, PIXEL_ROWS, level_histograms
from goldfold.competitions.ignored_pixels import decode_truth, split_truth
from goldfold.competitions.level_truth import judges_levels, level_truth
from goldfold.competitions.rle import Dialect
from goldfold.inference.predictor import Predictor, Seen
from goldfold.progress import SILENT, Progress
from goldfold.training.batch import Pixels
from goldfold.training.cache import ImageCache
from goldfold.training.device import Device
from goldfold.training.host_copy import to_host
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
    ignored: Sequence[str] | None = None,
    metric: str = "dice",
    batch_size: int = 16,
    progress: Progress = SILENT,
) -> IntArray:
    """Return the histograms of the maps that a predictor gives of labelled images, (N C, 2, 256).

    C is the number of masks of an image; those of one image stand beside each other.

    Where the metric compares objects or shapes they are (N C, 3, 256).

    Args:
        predictor: networks that have not seen these images.
        cache: the images at the network's size.
        image_ids: N ids.
        sizes: original (height, width) of each.
        masks: N C encoded masks, "" for an empty one.
        dialect: of the masks.
        objects: where the metric compares objects, cells of the column `objects` of images.csv.
        ignored: N encoded masks of the pixels that do not count; None = all count.
        metric: name of a metric of masks.
        batch_size: images in a forward pass.
        progress: counts images.
    """
    rows = cache.rows(image_ids)
    by_level = judges_levels(metric, objects)
    histograms = empty_histograms(len(masks), by_level=by_level)

    with progress.task("held out", len(rows)) as task:
        batches = batches_ahead(cache, rows, batch_size, pin=predictor.device.pins_memory)
        for places, pixels in batches:
            ids = [image_ids[place] for place in places]
            if not by_level and counts_on(predictor.device):
                true = _true_masks(places, sizes, masks, dialect, ignored)
                chosen = [sizes[place] for place in places]
                wanted = _masks_of(places, sizes, masks)
                counts = _counted_on_device(predictor, pixels, ids, chosen, true)
                histograms[wanted.start : wanted.stop] = counts
            else:
                seen = predictor.probability(pixels, ids)
                count_levels(
                    histograms, places, seen, sizes, masks, dialect, objects, ignored, metric
                )
            task.advance(len(places))
    return histograms


def empty_histograms(count: int, *, by_level: bool) -> IntArray:
    """Return room for the histograms of masks, (N, 2, 256), judged level by level (N, 3, 256)."""
    return np.zeros((count, OBJECT_ROWS if by_level else PIXEL_ROWS, LEVELS), np.int64)


@torch.inference_mode()
def count_levels(
    histograms: IntArray,
    places: range,
    seen: Seen,
    sizes: Sequence[tuple[int, int]],
    masks: Sequence[str],
    dialect: Dialect,
    objects: Sequence[str] | None = None,
    ignored: Sequence[str] | None = None,
    metric: str = "dice",
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
        ignored: of all, as in `held_out_histograms`.
        metric: name of a metric of masks.
    """
    wanted = _masks_of(places, sizes, masks)
    true = _true_masks(places, sizes, masks, dialect, ignored)
    chosen = [sizes[place] for place in places]
    device = Device(seen[0].device, None, str(seen[0].device))
    if not judges_levels(metric, objects) and counts_on(device):

        def count(part: slice) -> torch.Tensor:
            return _count_part(seen[0][part], part, chosen, true)

        counts = join_parts(Passes().in_halves(len(places), count, device))
        histograms[wanted.start : wanted.stop] = counts.cpu().numpy()
        return
    classes, maps = len(masks) // len(sizes), levels_at_size(seen[0], chosen)
    for place, mask, levels in zip(wanted, true, maps, strict=True):
        cell = None if objects is None else objects[place]
        plain, left_out = split_truth(mask)
        truth = level_truth(metric, cell, plain, sizes[place // classes], dialect)
        histograms[place] = level_histograms(levels, plain, truth, ignored=left_out)


def _counted_on_device(
    predictor: Predictor,
    pixels: Pixels,
    image_ids: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    true: Sequence[NDArray[np.uint8] | None],
) -> IntArray:
    """Return the histograms of a batch, (N C, 2, 256); the device is waited for once."""

    def count(seen: Seen, part: slice) -> torch.Tensor:
        return to_host(_count_part(seen[0], part, sizes, true))

    counts: IntArray = predictor.begin_then(pixels, image_ids, count)().numpy()
    return counts


def _count_part(
    probability: torch.Tensor,
    part: slice,
    sizes: Sequence[tuple[int, int]],
    true: Sequence[NDArray[np.uint8] | None],
) -> torch.Tensor:
    """Return the histograms of a part of a batch, of which sizes and masks are, on the device."""
    classes = len(true) // len(sizes)
    masks = true[part.start * classes : part.stop * classes]
    return device_histograms(probability, sizes[part], masks)


def _masks_of(places: range, sizes: Sequence[tuple[int, int]], masks: Sequence[str]) -> range:
    """Return the places of the masks of a batch's images."""
    classes = len(masks) // len(sizes)
    return range(places.start * classes, places.stop * classes)


def _true_masks(
    places: range,
    sizes: Sequence[tuple[int, int]],
    masks: Sequence[str],
    dialect: Dialect,
    ignored: Sequence[str] | None,
) -> list[NDArray[np.uint8] | None]:
    """Return the masks of a batch's images as `decode_truth` does, None for an empty one."""
    classes = len(masks) // len(sizes)
    left_out = ignored or [""] * len(sizes)
    return [
        decode_truth(masks[place], left_out[place // classes], *sizes[place // classes], dialect)
        for place in _masks_of(places, sizes, masks)
    ]
