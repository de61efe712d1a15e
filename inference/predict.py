"""Predict maps into the prediction store: reading, computing and writing at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError
from goldfold.inference.predictor import Predictor, Seen
from goldfold.inference.store import MapWriter, map_name
from goldfold.progress import SILENT, Progress
from goldfold.training.cache import ImageCache
from goldfold.training.probability import levels_at_size


def predict_maps(
    predictor: Predictor,
    cache: ImageCache,
    image_ids: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    writer: MapWriter,
    *,
    classes: Sequence[str] = ("",),
    batch_size: int = 16,
    share: tuple[int, int] = (0, 1),
    progress: Progress = SILENT,
) -> int:
    """Return how many maps were predicted now; those that the store had already are passed over.

    A pixel is the merged probability at the network's size, resized to the original size and
    rounded down to 8 bits. Images are batched by their place in `image_ids` whatever is stored
    already, so that on a CPU a resumed store has the same bytes as an unbroken one. Memory does
    not depend on the number of images: while one batch is predicted, the one before it is
    resized, compressed and written, and the one after it is read.

    Args:
        predictor: the checkpoints of one fold.
        cache: the images at the network's size.
        image_ids: which images, in the order of the store.
        sizes: original (height, width) of each image.
        writer: the store; the caller finishes it.
        classes: of the network's maps of an image, in their order.
        batch_size: images in a forward pass.
        share: (k, n): only every n-th batch from the k-th, for one of n processes.
        progress: counts images.

    Raises:
        InputError: an image twice or not in the cache, or not one size for each image.
        NotFiniteError: logits of an image are NaN or infinite, in float32 too.
        OutputError: the store cannot be written.
    """
    _check_request(image_ids, sizes)
    named = _Named(image_ids, sizes, classes)
    rows = cache.rows(image_ids)
    starts = list(range(0, len(image_ids), batch_size))[share[0] :: share[1]]
    blocks = [range(start, min(start + batch_size, len(image_ids))) for start in starts]
    with (
        progress.task("predict", sum(len(block) for block in blocks)) as task,
        ThreadPoolExecutor(1, thread_name_prefix="store") as store,
    ):
        stored, writing = 0, None
        for block, pixels in _read_ahead(cache, rows, blocks, named, writer):
            if pixels is not None:
                ids = [image_ids[place] for place in block]
                wait_for_seen = predictor.begin(pixels, ids)
                stored += _stored(writing)
                writing = store.submit(_store, writer, block, named, wait_for_seen)
            task.advance(len(block))
    return stored + _stored(writing)


@dataclass(frozen=True)
class _Named:
    """Images, their sizes, and the classes of their maps."""

    image_ids: Sequence[str]
    sizes: Sequence[tuple[int, int]]
    classes: Sequence[str]

    def names(self, place: int) -> list[str]:
        """Return what the maps of an image are called."""
        return [map_name(self.image_ids[place], one) for one in self.classes]


def _read_ahead(
    cache: ImageCache,
    rows: NDArray[np.int64],
    blocks: Sequence[range],
    named: _Named,
    writer: MapWriter,
) -> Iterator[tuple[range, NDArray[np.uint8] | None]]:
    """Yield each block with its pixels, read while the block before is used; None if stored."""

    def read(block: range) -> NDArray[np.uint8] | None:
        if all(name in writer for place in block for name in named.names(place)):
            return None
        return np.stack([cache.pixels[rows[place]] for place in block])

    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        upcoming = [reader.submit(read, block) for block in blocks[:1]]
        for number, block in enumerate(blocks):
            pixels = upcoming.pop().result()
            if number + 1 < len(blocks):
                upcoming.append(reader.submit(read, blocks[number + 1]))
            yield block, pixels


def _store(
    writer: MapWriter,
    block: range,
    named: _Named,
    wait_for_seen: Callable[[], Seen],
) -> int:
    """Append a batch's maps at their original sizes and return how many were new."""
    probability, presence = wait_for_seen()
    told = [None] * len(block) if presence is None else presence.tolist()
    maps = levels_at_size(probability, [named.sizes[place] for place in block])
    new = 0
    for place, one in zip(block, told, strict=True):
        for name in named.names(place):
            levels = next(maps)
            if name not in writer:
                writer.append(name, levels, one)
                new += 1
    return new


def _stored(writing: Future[int] | None) -> int:
    return 0 if writing is None else writing.result()


def _check_request(image_ids: Sequence[str], sizes: Sequence[tuple[int, int]]) -> None:
    if len(sizes) != len(image_ids):
        raise InputError(
            f"expected one size for each image, found {len(sizes)} sizes "
            f"for {len(image_ids)} images."
        )
    if len(set(image_ids)) != len(image_ids):
        double = next(name for i, name in enumerate(image_ids) if name in image_ids[:i])
        raise InputError(f"expected each image once, found {double} twice.")
