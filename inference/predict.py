"""Predict into the prediction store: reading, computing and writing at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from goldfold.errors import InputError
from goldfold.inference.maps import SeenMaps, maps_of
from goldfold.inference.predictor import Predictor
from goldfold.inference.record import Stored, checked_record
from goldfold.inference.store import MapWriter, map_name
from goldfold.progress import SILENT, Progress
from goldfold.training.batch import Pixels
from goldfold.training.cache import ImageCache
from goldfold.training.read_ahead import blocks_of, pinned, read_ahead

Prediction = TypeVar("Prediction")


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
    workers: int = 1,
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
        workers: threads that compress; the bytes of the store do not depend on them.
        progress: counts images.

    Raises:
        InputError: an image twice or not in the cache, or not one size for each image.
        NotFiniteError: logits of an image are NaN or infinite, in float32 too.
        OutputError: the store cannot be written.
    """
    return predict_arrays(
        map_forward(predictor, image_ids, sizes, classes),
        cache,
        image_ids,
        writer,
        names=classes,
        batch_size=batch_size,
        share=share,
        workers=workers,
        progress=progress,
    )


def map_forward(
    predictor: Predictor,
    image_ids: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    classes: Sequence[str] = ("",),
) -> Forward[SeenMaps]:
    """Return how maps of images are predicted and stored, as 8-bit levels at the original size.

    Args:
        predictor: the checkpoints of one fold.
        image_ids: of all images, in the order of the store.
        sizes: original (height, width) of each.
        classes: names of the masks of an image, "" where it has one.

    Raises:
        InputError: there is not one size per image.
    """
    if len(sizes) != len(image_ids):
        raise InputError(
            f"expected one size for each image, found {len(sizes)} sizes "
            f"for {len(image_ids)} images."
        )

    def arrays(block: range, seen: SeenMaps) -> Iterator[Array]:
        for place, told in zip(block, seen.presence, strict=True):
            for name in classes:
                yield map_name(image_ids[place], name), next(seen.maps), told

    return Forward(maps_of(predictor, image_ids, sizes), arrays, predictor.device.pins_memory)


Array = tuple[str, Stored, float | None]
"""Name of a record, its array, and the presence that goes with it."""


@dataclass(frozen=True)
class Forward(Generic[Prediction]):
    """How a batch is predicted, and what is stored of it.

    Attributes:
        begin: pixels of a batch, uint8 (N, S, S) or (N, S, S, C), and its ids -> a call that waits
            for what the networks say.
        arrays: places of the batch and what the networks say -> its records, images outermost.
        pins: whether pixels are wanted in pinned memory, for a GPU.
    """

    begin: Callable[[Pixels, Sequence[str]], Callable[[], Prediction]]
    arrays: Callable[[range, Prediction], Iterator[Array]]
    pins: bool = False


def predict_arrays(
    forward: Forward[Prediction],
    cache: ImageCache,
    image_ids: Sequence[str],
    writer: MapWriter,
    *,
    names: Sequence[str] = ("",),
    batch_size: int = 16,
    share: tuple[int, int] = (0, 1),
    workers: int = 1,
    progress: Progress = SILENT,
) -> int:
    """Return how many arrays were predicted now; those that the store had already are passed over.

    As `predict_maps`, for anything that networks predict for an image.

    Args:
        forward: how a batch is predicted.
        cache: the images at the network's size.
        image_ids: which images, in the order of the store.
        writer: the store; the caller finishes it.
        names: of the arrays of an image, "" where it has one.
        batch_size: images in a forward pass.
        share: (k, n): only every n-th batch from the k-th, for one of n processes.
        workers: threads that compress; the bytes of the store do not depend on them.
        progress: counts images.

    Raises:
        InputError: an image twice or not in the cache.
        NotFiniteError: logits of an image are NaN or infinite, in float32 too.
        OutputError: the store cannot be written.
    """
    _refuse_doubles(image_ids)
    rows = cache.rows(image_ids)
    blocks = blocks_of(len(image_ids), batch_size)[share[0] :: share[1]]

    def read(block: range) -> Pixels | None:
        """Return the pixels of a block, None where it is stored."""
        if all(map_name(image_ids[place], n) in writer for place in block for n in names):
            return None
        pixels = cache.images(rows[place] for place in block)
        return pinned(pixels) if forward.pins else pixels

    with (
        progress.task("predict", sum(len(block) for block in blocks)) as task,
        ThreadPoolExecutor(max(1, workers), thread_name_prefix="pack") as pool,
        ThreadPoolExecutor(1, thread_name_prefix="store") as store,
    ):
        stored, writing = 0, None
        storing = _Storing(writer, pool, depth=max(1, workers) + 2)
        for block, pixels in read_ahead(read, blocks):
            if pixels is not None:
                wait = forward.begin(pixels, [image_ids[place] for place in block])
                stored += _stored(writing)
                writing = store.submit(
                    lambda b, w: storing.store(forward.arrays(b, w())), block, wait
                )
            task.advance(len(block))
        return stored + _stored(writing)


class _Storing:
    """Compresses arrays in threads and appends them in their order."""

    def __init__(self, writer: MapWriter, pool: ThreadPoolExecutor, depth: int) -> None:
        """Take a store, threads, and how many arrays are held at most."""
        self.writer, self.pool, self.depth = writer, pool, depth

    def store(self, arrays: Iterator[Array]) -> int:
        """Append arrays that are not stored yet, and return how many these are."""
        packing: deque[tuple[str, Future[bytes]]] = deque()
        new = 0
        for name, array, presence in arrays:
            if name in self.writer:
                continue
            packing.append((name, self.pool.submit(checked_record, name, array, presence)))
            if len(packing) >= self.depth:
                new += self._append(*packing.popleft())
        return new + sum(self._append(*pending) for pending in packing)

    def _append(self, name: str, record: Future[bytes]) -> int:
        if name in self.writer:  # another process was faster
            return 0
        self.writer.append_record(name, record.result())
        return 1


def _stored(writing: Future[int] | None) -> int:
    return 0 if writing is None else writing.result()


def _refuse_doubles(image_ids: Sequence[str]) -> None:
    if len(set(image_ids)) != len(image_ids):
        double = next(name for i, name in enumerate(image_ids) if name in image_ids[:i])
        raise InputError(f"expected each image once, found {double} twice.")
