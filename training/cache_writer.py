"""The image cache's files: decoded by threads, streamed in order, whole or not at all.

The arrays are written as plain files: a full disk is then an error, where writing through a
memory map would kill the process.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_maps import paint
from goldfold.competitions.image import PLAIN, Reading, read_image
from goldfold.competitions.resize import (
    resize_class_map,
    resize_ignored,
    resize_image,
    resize_mask,
)
from goldfold.competitions.rle import Dialect, decode
from goldfold.errors import GoldfoldError, ImageError, list_problems
from goldfold.files import atomic_path, fingerprint, write_json
from goldfold.image_size import ImageSize, compact_size
from goldfold.progress import Progress
from goldfold.training.opencv_threads import one_opencv_thread

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_FORMAT = 2  # raise it when the same inputs would be cached differently
_LEFTOVER_SECONDS = 60.0


@dataclass(frozen=True)
class CacheRow:
    """One image to be cached.

    Attributes:
        image_id: of the image.
        path: of its file.
        content: hash of the file.
        height: of the original, in pixels.
        width: of the original, in pixels.
        masks: run-length encodings, "" for an empty one.
    """

    image_id: str
    path: Path
    content: str
    height: int
    width: int
    masks: tuple[str, ...]


@dataclass(frozen=True)
class CachePlan:
    """All that a cache is made from.

    With `numbers`, a pixel has exactly one class, and each mask paints its pixels with one of them.
    With `ignores` the last of an image's masks is that of its ignored pixels.
    Masks have the size of their image, unless `mask_size` is given.
    """

    name: str
    rows: Sequence[CacheRow]
    labelled: bool
    dialect: Dialect | None
    image_size: ImageSize
    channels: int
    reading: Reading = PLAIN
    classes: int = 1
    numbers: tuple[int, ...] = ()
    ignores: bool = False
    mask_size: tuple[int, int] | None = None

    def fingerprint(self) -> str:
        """Return what changes with any input; of a file its content counts, not place or time."""
        rows = [[row.image_id, row.content, row.height, row.width, *row.masks] for row in self.rows]
        how = [
            _FORMAT,
            compact_size(self.image_size),
            self.channels,
            self.labelled,
            str(self.dialect and self.dialect.record()),
        ]
        if self.reading != PLAIN:
            how.append(str(self.reading))
        if self.classes > 1:
            how.append(self.classes)
        if self.numbers:
            how.append(list(self.numbers))
        if self.ignores:
            how.append("ignored pixels")
        if self.mask_size is not None:
            how.append(f"mask_size {self.mask_size}")
        return fingerprint([*how, rows])

    def mask_rows(self) -> list[int]:
        """Return for each image its place among the non-empty masks, -1 for an empty one."""
        places, count = [], 0
        for row in self.rows:
            places.append(count if any(row.masks) else -1)
            count += any(row.masks)
        return places


def pixel_shape(count: int, image_size: ImageSize, channels: int) -> tuple[int, ...]:
    """Return the shape of the pixels: (N, H, W), or (N, H, W, 3)."""
    return (count, *image_size) if channels == 1 else (count, *image_size, channels)


def write_cache(
    folder: Path, plan: CachePlan, made_from: str, workers: int, progress: Progress
) -> None:
    """Write the three files of a cache; memory use does not depend on the number of images.

    Args:
        folder: where; made if need be.
        plan: what.
        made_from: the plan's fingerprint from before any file was read, so that a file which
            changes meanwhile is noticed the next time.
        workers: threads that decode.
        progress: told of every image.

    Raises:
        ImageError: images or masks that cannot be read, all at once; nothing is written.
        OutputError: the cache cannot be written.
    """
    mask_rows = plan.mask_rows()
    facts_path = folder / f"{plan.name}.json"
    with (
        atomic_path(folder / f"{plan.name}.pixels.npy") as pixels_path,
        atomic_path(folder / f"{plan.name}.masks.npy") as masks_path,
    ):
        with pixels_path.open("wb") as pixels_file, masks_path.open("wb") as masks_file:
            _write_header(pixels_file, pixel_shape(len(plan.rows), plan.image_size, plan.channels))
            _write_header(masks_file, (max(mask_rows) + 1, *plan.image_size))
            task_name = f"image cache {plan.name}"
            with one_opencv_thread(), progress.task(task_name, len(plan.rows)) as task:
                _stream(plan, pixels_file, masks_file, workers, task.advance)
        facts_path.unlink(missing_ok=True)  # before the arrays take their places
    facts = {
        "fingerprint": made_from,
        "image_ids": [row.image_id for row in plan.rows],
        "size": compact_size(plan.image_size),
        "channels": plan.channels,
        "labelled": plan.labelled,
        "classes": plan.classes - plan.ignores,
        "sizes": [[row.height, row.width] for row in plan.rows],
        "mask_rows": mask_rows,
    }
    if plan.numbers:
        facts["numbers"] = list(plan.numbers)
    if plan.ignores:
        facts["ignores"] = True
    write_json(facts_path, facts)


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove the temporary files of killed builds: nobody wrote pixels to them for a minute."""
    for pixels in folder.glob(f".{name}.pixels.npy.*.tmp"):
        try:
            if time.time() - pixels.stat().st_mtime > _LEFTOVER_SECONDS:
                pixels.with_name(pixels.name.replace(".pixels.", ".masks.")).unlink(missing_ok=True)
                pixels.unlink()
        except OSError:
            continue  # another process was faster, or owns it


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    header: dict[str, Any] = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _stream(
    plan: CachePlan,
    pixels_file: BinaryIO,
    masks_file: BinaryIO,
    workers: int,
    advance: Callable[[], None],
) -> None:
    """Write every image and non-empty mask in order, or raise with all that cannot be read."""
    problems: list[str] = []
    for result in _map_in_order(lambda row: _prepare(plan, row), plan.rows, workers):
        if isinstance(result, str):
            problems.append(result)
        elif not problems:
            pixels, mask = result
            pixels_file.write(pixels.data)
            if mask is not None:
                masks_file.write(mask.data)
        advance()
    if problems:
        title = f"{len(problems)} of {len(plan.rows)} images cannot be cached:"
        remedy = "Mend or remove them; `goldfold check` shows every problem of the data."
        raise ImageError(list_problems(title, problems, remedy))


def _prepare(
    plan: CachePlan, row: CacheRow
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None] | str:
    """Return an image and its mask at the cache's size (None if empty), or what is wrong."""
    try:
        pixels = read_image(row.path, plan.channels, reading=plan.reading)
        uncut = plan.reading.crop == "none"
        if uncut and pixels.shape[:2] != (row.height, row.width):
            return (
                f"{row.image_id}: expected {row.height} x {row.width} pixels (height x width), "
                f"found {pixels.shape[0]} x {pixels.shape[1]} in {row.path}"
            )
        mask = None
        if any(row.masks) and plan.dialect is not None:
            mask = _packed(plan, row, plan.dialect)
        return resize_image(pixels, *plan.image_size), mask
    except (GoldfoldError, OSError) as error:
        return f"{row.image_id}: {error}"


def _packed(plan: CachePlan, row: CacheRow, dialect: Dialect) -> NDArray[np.uint8]:
    """Return an image's masks at the cache's size, uint8 (H, W).

    The c-th is in the bit 2 ** c, that of ignored pixels behind the others; where a pixel has one
    class, it is that class's number.
    """
    size = plan.mask_size or (row.height, row.width)
    if plan.numbers:
        class_map = paint(row.masks, plan.numbers, *size, dialect)
        return resize_class_map(class_map, *plan.image_size)
    packed = np.zeros(plan.image_size, np.uint8)
    for place, text in enumerate(row.masks):
        if text:
            full = decode(text, *size, dialect, name="mask")
            ignored = plan.ignores and place == len(row.masks) - 1
            resize = resize_ignored if ignored else resize_mask
            packed |= resize(full, *plan.image_size) << np.uint8(place)
    return packed


def unpack_masks(packed: NDArray[np.uint8], classes: int) -> NDArray[np.uint8]:
    """Return masks of 0 and 1, uint8 (C, H, W), from the bits of one, (H, W).

    >>> unpack_masks(np.array([[0, 1, 2, 3]], np.uint8), 2).tolist()
    [[[0, 1, 0, 1]], [[0, 0, 1, 1]]]
    """
    places = np.arange(classes, dtype=np.uint8)[:, None, None]
    return (packed[None] >> places) & np.uint8(1)


def _map_in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int
) -> Iterator[_Result]:
    """Yield the results in the items' order, at most a few more than `workers` in the making."""
    pending: deque[Future[_Result]] = deque()
    executor = ThreadPoolExecutor(workers)
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
