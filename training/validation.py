"""The validation score: the competition's metric per image at original size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
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
    level_means,
    scores_by_level,
)
from goldfold.competitions.ignored_pixels import decode_truth, split_truth
from goldfold.competitions.level_truth import judges_levels, level_truth
from goldfold.competitions.rle import Dialect
from goldfold.competitions.scores import Ratios
from goldfold.errors import InputError
from goldfold.training.batch import Pixels
from goldfold.training.cache import ImageCache
from goldfold.training.device import Device
from goldfold.training.finite import Flags, checked, look, refuse_unseen
from goldfold.training.host_copy import runs_ahead, to_host
from goldfold.training.level_counts import counts_on, device_histograms
from goldfold.training.opencv_threads import one_opencv_thread
from goldfold.training.passes import Passes, join_lists
from goldfold.training.probability import levels_at_size, sent_levels
from goldfold.training.ranks import Ranks
from goldfold.training.read_ahead import batches_ahead

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
    compares objects, they are cells of the column `objects` of images.csv. `ignored` are the
    encoded masks of the pixels that do not count, one an image.
    """

    rows: NDArray[np.int64]
    sizes: Sequence[tuple[int, int]]
    masks: Sequence[str]
    dialect: Dialect
    classes: int = 1
    objects: Sequence[str] | None = None
    ignored: Sequence[str] | None = None

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
    passes: Passes | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> ValidationScore:
    """Return the score of the whole fold, a mean over images and never of batches.

    Every image counts at its original size, on the same 8-bit levels that the threshold search
    uses. The score that ranks checkpoints is taken at the best of the 256 thresholds, because a
    network trained on many non-empty images is over-confident by design.

    Pixels are counted on a GPU, where the maps are, and else in threads; a metric of objects is
    always computed in threads. The counts are the same.

    Args:
        model: logits (N, C, S, S), C masks per image; it is left in eval mode.
        cache: the images at the network's size.
        images: which of them, and what is true of them.
        metric: name of a metric of masks; of objects it is the best of the levels `JUDGED`.
        batch_size: images in a forward pass.
        device: where the model is.
        workers: threads that decode masks, or count the pixels of a batch while the next is
            predicted.
        ranks: of a distributed training; each predicts its share, and all return the same score,
            exact as counts of pixels are added.
        check: called after every batch; may raise to break off.
        retried: takes the number of images of a batch that needed float32.
        passes: how many images pass at once; keep it from one validation to the next.
        say: takes a line where memory does not suffice for a whole batch.

    Raises:
        InputError: there are no images.
        NotFiniteError: logits of some images are NaN or infinite, in float32 too: on all ranks.
    """
    if not len(images.rows):
        raise InputError("expected images to validate on, found none: the held-out fold is empty.")
    ranks = ranks if ranks is not None else Ranks()
    model.eval()
    mine = ranks.share(np.arange(len(images.rows), dtype=np.int64))
    by_level = judges_levels(metric, images.objects)
    counted = OBJECT_ROWS if by_level else PIXEL_ROWS
    histograms = np.zeros((len(images.masks), counted, LEVELS), dtype=np.int64)
    unseen = np.zeros(len(images.rows), dtype=np.int64)
    counter = _DeviceCounter if not by_level and counts_on(device) else _HostCounter
    how = partial(checked, retried=retried, passes=passes or Passes(), say=say)
    # As many batches on every rank, as all of them have to ask `check` together.
    longest = -(-len(images.rows) // ranks.world)
    batches = batches_ahead(
        cache, images.rows[mine], batch_size, count=longest, pin=device.pins_memory
    )
    with (
        one_opencv_thread(),
        ThreadPoolExecutor(max(1, workers), thread_name_prefix="validate") as pool,
    ):
        count = counter(model, images, metric, histograms, device, pool, how)
        for block, pixels in batches:
            if len(pixels):
                batch = mine[block.start : block.stop].tolist()
                unseen[batch] = ~count.batch(batch, pixels)
            check()
        count.wait()
    refuse_unseen(ranks.sum_array(unseen), [cache.image_ids[row] for row in images.rows])
    return _score(ranks.sum_array(histograms), metric, images.classes)


@dataclass
class _Counter:
    """Lets batches pass the network and counts the pixels of their maps.

    Attributes:
        metric: of the competition.
        histograms: of all masks, filled in batch by batch.
        pool: threads for what the network does not do.
        checked: how a batch passes, of `goldfold.training.finite`.
    """

    model: nn.Module
    images: ValidationImages
    metric: str
    histograms: NDArray[np.int64]
    device: Device
    pool: ThreadPoolExecutor
    checked: Callable[..., tuple[Any, Flags]]

    def wait(self) -> None:
        """Return once the last batch is counted."""


class _DeviceCounter(_Counter):
    """Counts where the maps are: a batch is waited for once, and only counts come back."""

    def batch(self, batch: Sequence[int], pixels: Pixels) -> Flags:
        """Count a batch and return which images are finite; counts of others mean nothing."""
        places = _masks_of(self.images, batch)
        pending = [self.pool.submit(_mask_of, self.images, place) for place in places]
        sizes, classes = [self.images.sizes[place] for place in batch], self.images.classes

        def attempt(part: slice, device: Device) -> tuple[torch.Tensor, torch.Tensor]:
            logits, finite = look(self.model, pixels[part], device)
            masks = [mask.result() for mask in pending[part.start * classes : part.stop * classes]]
            probability = torch.sigmoid(logits.float())
            counts = device_histograms(probability, sizes[part], masks)
            return to_host(counts), finite

        counts, finite = self.checked(attempt, len(batch), self.device)
        self.histograms[places] = counts.numpy()
        return finite


class _HostCounter(_Counter):
    """Counts the maps of a batch in threads while the next one is predicted."""

    counting: Sequence[Future[None]] = ()

    def batch(self, batch: Sequence[int], pixels: Pixels) -> Flags:
        """Begin to count a batch and return which images are finite; without all, none counts."""
        sizes = [self.images.sizes[place] for place in batch]
        seen = self._sent if runs_ahead(self.device.device) else self._looked
        maps, finite = seen(pixels, sizes)
        self.wait()  # bounds the maps that are held
        self.counting = [
            self.pool.submit(_count, self.histograms, self.images, self.metric, place, levels)
            for place, levels in zip(_masks_of(self.images, batch), maps, strict=False)
        ]
        return finite

    def _looked(
        self, pixels: Pixels, sizes: Sequence[tuple[int, int]]
    ) -> tuple[list[NDArray[np.uint8]], Flags]:
        """Return the maps of a batch, none unless all are finite, and which are."""

        def attempt(part: slice, device: Device) -> tuple[torch.Tensor, torch.Tensor]:
            logits, finite = look(self.model, pixels[part], device)
            return torch.sigmoid(logits.float()), finite

        probability, finite = self.checked(attempt, len(sizes), self.device)
        return list(levels_at_size(probability, sizes)) if finite.all() else [], finite

    def _sent(
        self, pixels: Pixels, sizes: Sequence[tuple[int, int]]
    ) -> tuple[list[NDArray[np.uint8]], Flags]:
        """Return the same from a GPU, which is waited for once."""

        def attempt(part: slice, device: Device) -> tuple[list[torch.Tensor], torch.Tensor]:
            logits, finite = look(self.model, pixels[part], device)
            return sent_levels(torch.sigmoid(logits.float()), sizes[part]), finite

        sent, finite = self.checked(attempt, len(sizes), self.device, join=join_lists)
        maps = [levels for levels_of_size in sent for levels in levels_of_size.numpy()]
        return maps if finite.all() else [], finite

    def wait(self) -> None:
        """Return once the maps of the last batch are counted."""
        for pending in self.counting:
            pending.result()


def _masks_of(images: ValidationImages, batch: Sequence[int]) -> list[int]:
    """Return the places of the masks of these images."""
    return [place * images.classes + number for place in batch for number in range(images.classes)]


def _mask_of(images: ValidationImages, place: int) -> NDArray[np.uint8] | None:
    """Return a true mask as `decode_truth` does, None for an empty one."""
    image = place // images.classes
    ignored = "" if images.ignored is None else images.ignored[image]
    return decode_truth(images.masks[place], ignored, *images.sizes[image], images.dialect)


def _count(
    histograms: NDArray[np.int64],
    images: ValidationImages,
    metric: str,
    place: int,
    levels: NDArray[np.uint8],
) -> None:
    """Put the histograms of a map, int64 (2 or 3, 256), in their place."""
    mask, ignored = split_truth(_mask_of(images, place))
    height, width = images.sizes[place // images.classes]
    cell = None if images.objects is None else images.objects[place]
    truth = level_truth(metric, cell, mask, (height, width), images.dialect)
    histograms[place] = level_histograms(levels, mask, truth, JUDGED, ignored)


def _score(histograms: NDArray[np.int64], metric: str, classes: int) -> ValidationScore:
    """Return the scores of the images with these histograms, (N C, 2 or 3, 256).

    Where the score is a ratio of sums over images, each class has its own, and their mean counts.
    """
    by_image = scores_by_level(histograms, metric)
    seen = by_image[histograms[:, 1].any(axis=1)]
    if isinstance(by_image, Ratios):
        scores = np.mean([level_means(by_image[c::classes]) for c in range(classes)], axis=0)
    else:
        scores = by_image.mean(axis=0)
    best = int(judged_levels(histograms)[np.argmax(scores)])
    non_empty_score = float(level_means(seen).max()) if len(seen) else 0.0
    return ValidationScore(float(scores[best]), best, float(scores[HALF]), non_empty_score)
