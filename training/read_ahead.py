"""Make the next batches in threads while the present one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    from goldfold.training.batch import Pixels
    from goldfold.training.cache import ImageCache

Item = TypeVar("Item")
Content = TypeVar("Content")


def made_ahead(
    pool: ThreadPoolExecutor,
    make: Callable[[Item], Content],
    items: Iterable[Item],
    depth: int,
) -> Iterator[Content]:
    """Yield what is made of each item, in order, while threads make the next ones.

    Args:
        pool: the threads.
        make: called in them; what it raises is raised where its result would be yielded.
        items: what to make something of.
        depth: how many are in work at most, so that memory stays bounded.
    """
    waiting: deque[Future[Content]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) >= depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def read_ahead(
    read: Callable[[Item], Content], items: Sequence[Item]
) -> Iterator[tuple[Item, Content]]:
    """Yield each item with what was read of it, in order, while a thread reads the next one.

    Two at most are in memory: the one that is used and the one that is read.

    Args:
        read: called in another thread, for one item after the other; what it raises is raised
            where its item would be yielded.
        items: what to read.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        contents = made_ahead(reader, read, items, depth=2)
        for item in items:
            yield item, next(contents)


def batches_ahead(
    cache: ImageCache, rows: NDArray[np.int64], size: int, *, count: int = 0, pin: bool = False
) -> Iterator[tuple[range, Pixels]]:
    """Yield the places of each batch and its images, uint8 (N, H, W) or (N, H, W, C), read ahead.

    Args:
        cache: what is read.
        rows: of the images.
        size: images of a batch.
        count: of images, where other processes have more of them: as many batches as that takes,
            the last ones without images.
        pin: put the images into pinned memory, for a GPU.
    """

    def read(block: range) -> Pixels:
        chosen = rows[block.start : block.stop]
        if not len(chosen):
            return np.zeros((0, 0, 0), np.uint8)
        return pinned(cache.images(chosen)) if pin else cache.images(chosen)

    return read_ahead(read, blocks_of(max(len(rows), count), size))


def pinned(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Return images in memory that a GPU reads by itself, while this process continues."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(pixels)).pin_memory()


def blocks_of(count: int, size: int) -> list[range]:
    """Return the places of `count` images in blocks of a size, the last one the rest.

    >>> blocks_of(5, 2)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
