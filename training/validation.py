"""The validation score: the competition's metric per image at original size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from goldfold.competitions.histogram import (
    LEVELS,
    OBJECT_ROWS,
    PIXEL_ROWS,
    judged_at,
    judged_levels,
    level_histograms,
    scores_by_level,
)
from goldfold.competitions.objects import read_objects
from goldfold.competitions.rle import Dialect, decode
from goldfold.errors import InputError
from goldfold.training.batch import network_input
from goldfold.training.cache import ImageCache
from goldfold.training.device import Device
from goldfold.training.finite import Flags, checked_logits, refuse_unseen
from goldfold.training.probability import levels_at_size
from goldfold.training.ranks import Ranks

HALF = 127  # level > 127 is probability >= 0.5
JUDGED = judged_at(32)
"""Levels at which objects are judged, `HALF` among them: each costs a pass over the map."""


class HeldOutImages(Protocol):
    """Images of the validation fold that know how a network is scored on them."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """The images' rows of the cache, (N,)."""

    def score(self, model: nn.Module, cache: ImageCache, **how: Any) -> ValidationScore:
        """Return what a network scores; `how` is what `validate` takes by name."""


@dataclass(frozen=True)
class ValidationImages:
    """Images of the validation fold: cache rows, original (height, width) and true masks.

    Of `classes` masks per image, those of one image stand beside each other. Where the metric
    compares objects, they are cells of the column `objects` of images.csv.
    """

    rows: NDArray[np.int64]
    sizes: Sequence[tuple[int, int]]
    masks: Sequence[str]
    dialect: Dialect
    classes: int = 1
    objects: Sequence[str] | None = None

    def score(self, model: nn.Module, cache: ImageCache, **how: Any) -> ValidationScore:
        """Return what a network scores on these images, as `validate`."""
        return validate(model, cache, self, **how)


@dataclass(frozen=True)
class ValidationScore:
    """Mean score at the best single threshold, that threshold's level, and the score at 0.5.

    `non_empty_score` is the mean over the non-empty images at the best threshold for them, 0
    without any: it tells networks apart that at their best threshold predict nothing.
    """

    score: float
    level: int
    score_at_half: float
    non_empty_score: float


def validate(
    model: nn.Module,
    cache: ImageCache,
    images: ValidationImages,
    *,
    metric: str,
    batch_size: int,
    device: Device,
    workers: int = 1,
    ranks: Ranks | None = None,
    check: Callable[[], None] = lambda: None,
    retried: Callable[[int], None] = lambda _: None,
) -> ValidationScore:
    """Return the score of the whole fold, a mean over images and never of batches.

    Every image counts at its original size, on the same 8-bit levels that the threshold search
    uses. The score that ranks checkpoints is taken at the best of the 256 thresholds, because a
    network trained on many non-empty images is over-confident by design.

    Args:
        model: logits (N, C, S, S), C masks per image; it is left in eval mode.
        cache: the images at the network's size.
        images: which of them, and what is true of them.
        metric: name of a metric of masks; of objects it is the best of the levels `JUDGED`.
        batch_size: images in a forward pass.
        device: where the model is.
        workers: threads that count the pixels of a batch while the next is predicted.
        ranks: of a distributed training; each predicts its share, and all return the same score,
            exact as counts of pixels are added.
        check: called after every batch; may raise to break off.
        retried: takes the number of images of a batch that needed float32.

    Raises:
        InputError: there are no images.
        NotFiniteError: logits of some images are NaN or infinite, in float32 too: on all ranks.
    """
    if not len(images.rows):
        raise InputError("expected images to validate on, found none: the held-out fold is empty.")
    ranks = ranks if ranks is not None else Ranks()
    model.eval()
    mine = ranks.share(np.arange(len(images.rows), dtype=np.int64))
    counted = PIXEL_ROWS if images.objects is None else OBJECT_ROWS
    histograms = np.zeros((len(images.masks), counted, LEVELS), dtype=np.int64)
    unseen = np.zeros(len(images.rows), dtype=np.int64)
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="validate") as pool:
        counting: list[Future[None]] = []
        # As many batches on every rank, as all of them have to ask `check` together.
        for start in range(0, -(-len(images.rows) // ranks.world), batch_size):
            batch = mine[start : start + batch_size].tolist()
            maps: list[NDArray[np.uint8]] = []
            if batch:
                maps, finite = _predict_levels(model, cache, images, batch, device, retried)
                unseen[batch] = ~finite
            # Waiting for the batch before bounds the maps that are held.
            for pending in counting:
                pending.result()
            counting = [
                pool.submit(_count, histograms, images, place, levels)
                for place, levels in zip(
                    _masks_of(images, batch if maps else []), maps, strict=True
                )
            ]
            check()
        for pending in counting:
            pending.result()
    refuse_unseen(ranks.sum_array(unseen), [cache.image_ids[row] for row in images.rows])
    return _score(ranks.sum_array(histograms), metric)


@torch.inference_mode()
def _predict_levels(
    model: nn.Module,
    cache: ImageCache,
    images: ValidationImages,
    batch: Sequence[int],
    device: Device,
    retried: Callable[[int], None],
) -> tuple[list[NDArray[np.uint8]], Flags]:
    """Return the uint8 maps (H, W) of a batch at original size, and which images are finite.

    No maps where some image is not: there is no score then.
    """
    pixels = cache.images(images.rows[batch])
    inputs = network_input(pixels, device.device, channels_last=device.channels_last)
    logits, finite = checked_logits(model, inputs, device, retried)
    if not finite.all():
        return [], finite
    probability = torch.sigmoid(logits.float())
    return list(levels_at_size(probability, [images.sizes[place] for place in batch])), finite


def _masks_of(images: ValidationImages, batch: Sequence[int]) -> list[int]:
    """Return the places of the masks of these images."""
    return [place * images.classes + number for place in batch for number in range(images.classes)]


def _count(
    histograms: NDArray[np.int64], images: ValidationImages, place: int, levels: NDArray[np.uint8]
) -> None:
    """Put the histograms of a map, int64 (2 or 3, 256), in their place."""
    text, (height, width) = images.masks[place], images.sizes[place // images.classes]
    mask = decode(text, height, width, images.dialect) if text else None
    cell = None if images.objects is None else images.objects[place]
    objects = None if cell is None else read_objects(cell, height, width, images.dialect)
    histograms[place] = level_histograms(levels, mask, objects, JUDGED)


def _score(histograms: NDArray[np.int64], metric: str) -> ValidationScore:
    """Return the scores of the images with these histograms, (N, 2 or 3, 256)."""
    by_image = scores_by_level(histograms, metric)
    scores = by_image.mean(axis=0)
    best = int(judged_levels(histograms)[np.argmax(scores)])
    seen = by_image[histograms[:, 1].any(axis=1)]
    non_empty_score = float(seen.mean(axis=0).max()) if len(seen) else 0.0
    return ValidationScore(float(scores[best]), best, float(scores[HALF]), non_empty_score)
