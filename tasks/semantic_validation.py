"""Class maps of networks against the true ones: pixels by class, and the validation score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.ensemble.class_map_rule import class_scores, most_likely, pixels_of_map
from goldfold.errors import InputError
from goldfold.inference.network import activate
from goldfold.tasks.true_class_maps import TrueClasses
from goldfold.training.class_pixels import device_class_pixels
from goldfold.training.finite import Flags, checked, look, refuse_unseen
from goldfold.training.host_copy import runs_ahead, to_host
from goldfold.training.passes import Passes
from goldfold.training.probability import levels_at_size
from goldfold.training.ranks import Ranks
from goldfold.training.read_ahead import batches_ahead
from goldfold.training.validation import HALF, ValidationScore

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from goldfold.inference.predictor import Predictor, Seen
    from goldfold.settings import CompetitionSettings
    from goldfold.training.batch import Pixels
    from goldfold.training.cache import ImageCache
    from goldfold.training.device import Device

Counts = NDArray[np.int64]
ClassMap = NDArray[np.uint8]


class HeldOutClassMaps:
    """Images that a stage of a fold is validated on.

    Attributes:
        rows: int64 (N,) of the cache.
    """

    def __init__(self, form: CompetitionSettings, cache: ImageCache, images: pd.DataFrame) -> None:
        """Take rows of images.csv."""
        self._ids: list[str] = list(images["image_id"])
        self._true, self._classes = TrueClasses(form, images), len(form.classes)
        self.rows: NDArray[np.int64] = cache.rows(self._ids)

    def score(self, model: nn.Module, cache: ImageCache, **how: Any) -> ValidationScore:
        """Return what a network scores on these images; arguments and errors as of `validate`."""
        return self._score(model, cache, **how)

    def _score(
        self,
        model: nn.Module,
        cache: ImageCache,
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
        if not len(self.rows):
            raise InputError("expected images to validate on, found none: the fold is empty.")
        ranks = ranks if ranks is not None else Ranks()
        model.eval()
        mine = ranks.share(np.arange(len(self.rows), dtype=np.int64))
        pixels = np.zeros((len(self.rows), 3, self._classes), np.int64)
        unseen = np.zeros(len(self.rows), np.int64)
        passes = passes if passes is not None else Passes()

        how = partial(checked, retried=retried, passes=passes, say=say)
        # As many batches on every rank, as all of them have to ask `check` together.
        longest = -(-len(self.rows) // ranks.world)
        batches = batches_ahead(
            cache, self.rows[mine], batch_size, count=longest, pin=device.pins_memory
        )
        with PixelCounter(self._true, workers) as counter:
            for block, shown in batches:
                if len(shown):
                    batch = mine[block.start : block.stop].tolist()
                    count = counter.batch([self._ids[place] for place in batch])
                    pixels[batch], finite = count.validated(model, shown, device, how)
                    unseen[batch] = ~finite
                check()
        refuse_unseen(ranks.sum_array(unseen), [cache.image_ids[row] for row in self.rows])
        pixels = ranks.sum_array(pixels)
        scores = class_scores(metric, pixels)
        seen = scores[pixels[:, 2, 1:].any(axis=1)]
        score = float(scores.mean())
        return ValidationScore(score, HALF, score, float(seen.mean()) if len(seen) else 0.0)


class PixelCounter:
    """Counts pixels in both, predicted and true, by class; its threads paint the true class maps.

    A GPU counts where the maps are, so that only counts come back and it is waited for once a
    batch; else threads count. The counts are the same.
    """

    def __init__(self, true: TrueClasses, workers: int = 1) -> None:
        """Take the true classes of all images, and how many threads there are."""
        self._true = true
        self._pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="count")

    def __enter__(self) -> Self:
        """Return this counter."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the threads."""
        self._pool.shutdown()

    def batch(self, image_ids: Sequence[str]) -> BatchPixels:
        """Return what counts a batch, whose true class maps are painted from now on."""
        return BatchPixels(self._true, image_ids, self._pool)


class BatchPixels:
    """Counts the pixels of one batch of N images, int64 (N, 3, C)."""

    def __init__(
        self, true: TrueClasses, image_ids: Sequence[str], pool: ThreadPoolExecutor
    ) -> None:
        """Begin to paint the true class maps."""
        self._ids, self._pool = image_ids, pool
        self._sizes = [true.size(image_id) for image_id in image_ids]
        self._true = [pool.submit(true.read, image_id) for image_id in image_ids]

    def validated(
        self,
        model: nn.Module,
        pixels: Pixels,
        device: Device,
        how: Callable[..., tuple[torch.Tensor, Flags]],
    ) -> tuple[Counts | int, Flags]:
        """Return the counts of a model's maps and which are finite; without all, none counts.

        Args:
            model: logits (N, C, h, w).
            pixels: cached images, uint8 (N, H, W) or (N, H, W, channels).
            device: where the model is.
            how: a batch passes, `goldfold.training.finite.checked`.
        """
        counts_there = runs_ahead(device.device)

        def attempt(part: slice, place: Device) -> tuple[torch.Tensor, torch.Tensor]:
            logits, finite = look(model, pixels[part], place)
            probability = activate(logits, "softmax")
            return self._sent(probability, part) if counts_there else probability, finite

        seen, finite = how(attempt, len(self._ids), device)
        if not finite.all():
            return 0, finite
        return seen.numpy() if counts_there else self._here(seen), finite

    def predicted(self, predictor: Predictor, pixels: Pixels) -> Counts:
        """Return the counts of what a predictor sees.

        Args:
            predictor: of one fold.
            pixels: cached images, uint8 (N, H, W) or (N, H, W, channels).
        """
        if not runs_ahead(predictor.device.device):
            return self._here(predictor.probability(pixels, self._ids)[0])

        def count(seen: Seen, part: slice) -> torch.Tensor:
            return self._sent(seen[0], part)

        counts: Counts = predictor.begin_then(pixels, self._ids, count)().numpy()
        return counts

    def merged(self, probability: torch.Tensor) -> Counts:
        """Return the counts of probabilities, float32 (N, C, h, w)."""
        if not runs_ahead(probability.device):
            return self._here(probability)
        counts: Counts = self._there(probability, slice(None)).cpu().numpy()
        return counts

    def _sent(self, probability: torch.Tensor, part: slice) -> torch.Tensor:
        """Return the counts of a part of the batch on their way to the host."""
        return to_host(self._there(probability, part))

    def _there(self, probability: torch.Tensor, part: slice) -> torch.Tensor:
        true = [painting.result() for painting in self._true[part]]
        return device_class_pixels(probability, self._sizes[part], true)

    def _here(self, probability: torch.Tensor) -> Counts:
        stacks = _level_stacks(probability, self._sizes)
        return np.stack(list(self._pool.map(_count, self._true, stacks)))


def _count(true: Future[ClassMap], levels: NDArray[np.uint8]) -> Counts:
    """Return the counts of one image, int64 (3, C)."""
    return pixels_of_map(most_likely(levels)[0], true.result(), len(levels))


def _level_stacks(
    probability: torch.Tensor, sizes: Sequence[tuple[int, int]]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the 8-bit maps of all classes of each image at its original size, uint8 (C, H, W)."""
    maps = levels_at_size(probability, sizes)
    for _ in sizes:
        yield np.stack([next(maps) for _ in range(probability.shape[1])])
