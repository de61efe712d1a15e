"""Encodes masks in parallel, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from numpy.typing import NDArray

from goldfold.competitions.objects import runs_of_objects
from goldfold.competitions.rle import Dialect, encode, format_runs
from goldfold.progress import SILENT, Progress

_AT_ONCE = 64
"""Images submitted to the threads at once; limits memory use."""


def encode_masks(
    mask_of: Callable[[str], NDArray[Any] | None],
    image_ids: Sequence[str],
    dialect: Dialect,
    *,
    objects: bool = False,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Iterator[tuple[str, str | list[str]]]:
    """Yield id and encoded mask of each image, in order.

    Memory use does not depend on the number of images. With `objects`, an image has a list of
    masks, one for each part that is connected through sides and corners, sorted by first pixel.
    Threads help, because unpacking maps and encoding masks release the interpreter lock.

    Args:
        mask_of: image id -> mask (H, W), None for an empty one; called from threads.
        image_ids: ids of the images to encode.
        dialect: run-length dialect of the output.
        objects: whether each object has a row of its own.
        workers: number of threads.
        progress: advances once per image.
    """

    def encoded(image_id: str) -> str | list[str]:
        mask = mask_of(image_id)
        if mask is None:
            return [] if objects else dialect.empty
        if not objects:
            return encode(mask, dialect)
        parts = runs_of_objects(mask, dialect.order)
        return [format_runs(runs, dialect, pixels=mask.size) for runs in parts]

    with (
        progress.task("encode", len(image_ids)) as task,
        ThreadPoolExecutor(max(1, workers), thread_name_prefix="encode") as pool,
    ):
        for start in range(0, len(image_ids), _AT_ONCE):
            block = image_ids[start : start + _AT_ONCE]
            for image_id, text in zip(block, pool.map(encoded, block), strict=True):
                yield image_id, text
                task.advance()
