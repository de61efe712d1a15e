"""Batches of augmented images, made ahead by threads.

Threads, not processes: OpenCV and NumPy release the interpreter lock while they work, the cache
is one memory map for all, nothing is pickled, and start-up costs nothing. What an image looks
like depends on (seed, epoch, index) alone, so the number of threads changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.training.augmentation import Recipe, augment
from goldfold.training.cache import ImageCache
from goldfold.training.opencv_threads import one_opencv_thread


@dataclass(frozen=True)
class Batch:
    """Images uint8 (N, S, S) or (N, S, S, 3), masks uint8 0/1 (N, S, S), rows int64 (N,).

    Images and masks are arrays, or tensors in pinned memory.
    """

    images: NDArray[np.uint8] | torch.Tensor
    masks: NDArray[np.uint8] | torch.Tensor
    rows: NDArray[np.int64]

    def pinned(self) -> Batch:
        """Return the batch in memory that a GPU reads by itself, while this process goes on."""
        images, masks = torch.as_tensor(self.images), torch.as_tensor(self.masks)
        return Batch(images.pin_memory(), masks.pin_memory(), self.rows)


def split_batches(indices: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Return consecutive batches of nearly equal size, at most `batch_size`.

    Equal shares instead of a small rest: BatchNorm never sees a single left-over image.

    >>> [len(b) for b in split_batches(np.arange(9), 4)]
    [3, 3, 3]
    """
    count = max(1, -(-len(indices) // batch_size))
    return list(np.array_split(indices, count)) if len(indices) else []


def iterate_batches(
    cache: ImageCache,
    batches: Sequence[NDArray[np.int64]],
    recipe: Recipe,
    *,
    seed: int,
    epoch: int,
    workers: int,
    pin: bool = False,
) -> Iterator[Batch]:
    """Yield the batches in order, augmented, while threads make the next ones.

    Args:
        cache: where images and masks are.
        batches: cache rows of each batch.
        recipe: augmentation.
        seed: of the run.
        epoch: from 0.
        workers: threads; 0 works in the caller's.
        pin: put the batches into pinned memory, for a GPU.
    """

    def make(rows: NDArray[np.int64]) -> Batch:
        pairs = [
            augment(cache.pixels[row], cache.mask(int(row)), recipe, seed, epoch, int(row))
            for row in rows
        ]
        batch = Batch(np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs]), rows)
        return batch.pinned() if pin else batch

    if workers == 0:
        yield from map(make, batches)
        return
    with one_opencv_thread(), ThreadPoolExecutor(workers, thread_name_prefix="loader") as pool:
        yield from _ahead(pool, make, batches, depth=workers + 2)


def _ahead(
    pool: ThreadPoolExecutor,
    make: Callable[[NDArray[np.int64]], Batch],
    batches: Iterable[NDArray[np.int64]],
    depth: int,
) -> Iterator[Batch]:
    """Yield results in order with at most `depth` batches in work, so memory stays bounded."""
    waiting: deque[Future[Batch]] = deque()
    try:
        for rows in batches:
            waiting.append(pool.submit(make, rows))
            if len(waiting) >= depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
