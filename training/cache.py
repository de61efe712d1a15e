"""The image cache: each image decoded and resized once, then read from a memory-mapped array.

A cache is three files beside each other, all rows in one order:

    train-512-gray.pixels.npy    (N, H, W) uint8, or (N, H, W, 3) for `rgb`
    train-512-gray.masks.npy     (M, H, W) uint8, 0 or 1: the non-empty masks only; where an image
                                 has several masks, the c-th of them is the bit of value 2 ** c;
                                 where a pixel has one class, its number (255: ignored)
    train-512-gray.json          ids, sizes, which mask belongs to which row, fingerprint

The JSON is removed before the arrays are replaced and written after them, so arrays without
their JSON, or a JSON without its arrays, are never taken for a cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_maps import IGNORED_NUMBER
from goldfold.competitions.image import PLAIN, Reading
from goldfold.competitions.rle import Dialect, is_empty
from goldfold.errors import InputError, list_problems
from goldfold.file_hashes import hash_files
from goldfold.files import read_json
from goldfold.image_size import ImageSize, SizeLike, height_and_width, size_name
from goldfold.progress import SILENT, Progress
from goldfold.training.batch import join_channels
from goldfold.training.cache_writer import (
    CachePlan,
    CacheRow,
    pixel_shape,
    remove_leftovers,
    unpack_masks,
    write_cache,
)

Pixels = NDArray[np.uint8]
Mask = NDArray[np.uint8]


class ImageCache:
    """The images of one split at one size, memory-mapped read-only.

    Opening costs a few milliseconds whatever the number of images; the operating system shares
    the pages among all processes that read them. A copy sent to another process opens the files
    there again.

    Attributes:
        name: `SPLIT-SIZE-gray` or `SPLIT-SIZE-rgb`, the size a side or HEIGHTxWIDTH.
        image_ids: ids in row order.
        image_size: height and width of the cached images, (H, W).
        channels: 1 or 3.
        pixels: (N, H, W) or (N, H, W, 3) uint8.
        sizes: (N, 2) int64, height and width of the originals.
        labelled: whether the cache was built with masks.
        classes: masks of an image, or classes of a pixel, C.
        numbers: where a pixel has exactly one class, what each mask was painted with; else ().
        non_empty: (N,) bool, whether the original mask has pixels.
        neighbours: (N, K) int64, for each image the rows that it is shown with, or None.
    """

    def __init__(
        self, folder: Path, name: str, neighbours: NDArray[np.int64] | None = None
    ) -> None:
        """Open the cache `name` in `folder`.

        Raises:
            InputError: there is no whole cache of that name.
        """
        self.folder, self.name, self.neighbours = folder, name, neighbours
        facts = read_json(folder / f"{name}.json")
        self.fingerprint: str = facts["fingerprint"]
        self.image_ids: list[str] = facts["image_ids"]
        self.image_size: ImageSize = height_and_width(facts["size"])
        self.channels: int = facts["channels"]
        self.labelled: bool = facts["labelled"]
        self.numbers: tuple[int, ...] = tuple(facts.get("numbers", ()))
        self.classes: int = facts.get("classes", 1)
        if self.numbers:
            self.classes = 1 + sum(number != IGNORED_NUMBER for number in self.numbers)
        self.sizes: NDArray[np.int64] = np.array(facts["sizes"], dtype=np.int64).reshape(-1, 2)
        self._mask_rows: NDArray[np.int64] = np.array(facts["mask_rows"], dtype=np.int64)
        self.non_empty: NDArray[np.bool_] = self._mask_rows >= 0
        self._row_of = {image_id: row for row, image_id in enumerate(self.image_ids)}
        shape = pixel_shape(len(self.image_ids), self.image_size, self.channels)
        self.pixels: Pixels = self._open("pixels", shape)
        self._masks: Mask = self._open("masks", (int(self.non_empty.sum()), *shape[1:3]))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.image_ids)

    def __reduce__(
        self,
    ) -> tuple[type[ImageCache], tuple[Path, str, NDArray[np.int64] | None]]:
        """Send the place of the files, not their content, to another process."""
        return ImageCache, (self.folder, self.name, self.neighbours)

    def with_neighbours(self, neighbours: NDArray[np.int64]) -> ImageCache:
        """Return the same files as a cache that shows each image with its neighbours.

        Args:
            neighbours: (N, K) for each image the rows that become its channels, in their order.
        """
        if len(neighbours) != len(self):
            raise ValueError(f"expected neighbours of {len(self)} images, found {len(neighbours)}")
        return ImageCache(self.folder, self.name, neighbours)

    def image(self, row: int) -> Pixels:
        """Return what a network is shown of an image: the one place where pixels are read.

        uint8 (H, W), or (H, W, C): colours, or the channels of the neighbours beside each other.
        """
        if self.neighbours is None:
            image: Pixels = self.pixels[row]
            return image
        return join_channels([self.pixels[near] for near in self.neighbours[row]])

    def images(self, rows: Iterable[int]) -> Pixels:
        """Return a batch of images, uint8 (N, H, W) or (N, H, W, C)."""
        return np.stack([self.image(row) for row in rows])

    def ids_read(self, rows: Iterable[int]) -> list[str]:
        """Return the ids of all images whose pixels are read for these rows, sorted."""
        read = np.array(list(rows), dtype=np.int64)
        if self.neighbours is not None:
            read = self.neighbours[read].reshape(-1)
        return [self.image_ids[row] for row in np.unique(read)]

    def mask(self, row: int) -> Mask:
        """Return the mask of a row, uint8 of 0 or 1; an empty one is made on the spot.

        (H, W), or (C, H, W) where an image has several. Where a pixel has exactly one class, (H, W)
        of class numbers.
        """
        if not self.labelled:
            raise ValueError(f"the cache {self.name} was built without masks")
        stored = self._mask_rows[row]
        single = self.classes == 1 or bool(self.numbers)
        shape = self.image_size if single else (self.classes, *self.image_size)
        if stored < 0:
            return np.zeros(shape, dtype=np.uint8)
        mask: Mask = self._masks[stored]
        return mask if single else unpack_masks(mask, self.classes)

    def rows(self, image_ids: Iterable[str]) -> NDArray[np.int64]:
        """Return the rows of these images, in their order.

        Raises:
            InputError: an image is not in the cache.
        """
        wanted = list(image_ids)
        missing = [image_id for image_id in wanted if image_id not in self._row_of]
        if missing:
            raise InputError(
                list_problems(
                    f"expected all images in the cache {self.folder / self.name}, "
                    f"{len(missing)} of {len(wanted)} are not:",
                    missing,
                    "Build the cache again from the present image table.",
                )
            )
        return np.array([self._row_of[image_id] for image_id in wanted], dtype=np.int64)

    def _open(self, kind: str, shape: tuple[int, ...]) -> Pixels:
        path = self.folder / f"{self.name}.{kind}.npy"
        try:
            # An empty array cannot be memory-mapped.
            array: Pixels = np.load(path, mmap_mode="r" if shape[0] else None, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"cannot open the image cache {path}: {error}.") from error
        if array.shape != shape or array.dtype != np.uint8:
            raise InputError(
                f"expected {path} to hold uint8 {shape}, found {array.dtype} {array.shape}. "
                "Delete the file; it is built again."
            )
        return array


def build_cache(
    folder: Path,
    split: str = "train",
    *,
    image_ids: Sequence[str],
    paths: Sequence[Path],
    sizes: Sequence[tuple[int, int]],
    masks: Sequence[str] | Sequence[Sequence[str]] | None,
    dialect: Dialect | None,
    size: SizeLike,
    contents: Sequence[str] | None = None,
    channels: int = 1,
    numbers: Sequence[int] = (),
    reading: Reading = PLAIN,
    workers: int = 1,
    progress: Progress = SILENT,
) -> ImageCache:
    """Return the cache of these images, built anew only where what it is made from has changed.

    Memory use does not depend on the number of images; `workers` threads decode (OpenCV, NumPy
    and the JPEG decoders work outside Python's lock). A kill leaves no half cache.

    Args:
        folder: where the cache lies; made if need be.
        split: first part of the cache's name, e.g. "train" or "test".
        image_ids: unique ids, in the order of the rows.
        paths: files of the images.
        sizes: (height, width) of the originals, as the run-length encodings count them.
        masks: run-length encodings, or of each image one for each class; None for images without
            labels.
        dialect: their dialect; needed with `masks`.
        size: to which images and masks are resized: a side, or (height, width), in pixels.
        contents: hashes of the files; of the present files unless given.
        channels: 1 or 3.
        numbers: where a pixel has exactly one class: the number of each of an image's masks.
        reading: windows and the like.
        workers: threads that decode.
        progress: told of every image and of whether the cache was reused.

    Raises:
        ImageError: images or masks that cannot be read, all at once.
        InputError: there are no images, or one comes twice.
        OutputError: the cache cannot be written.
    """
    if masks is not None and dialect is None:
        raise ValueError("masks need a dialect")
    name = f"{split}-{size_name(size)}-{'gray' if channels == 1 else 'rgb'}"
    if contents is None:
        contents = hash_files(paths, root=Path(), workers=workers, progress=progress)
    rows = _list_rows(image_ids, paths, contents, sizes, masks, dialect)
    classes = len(rows[0].masks)
    plan = CachePlan(
        name,
        rows,
        masks is not None,
        dialect,
        height_and_width(size),
        channels,
        reading,
        classes,
        tuple(numbers) if masks is not None else (),
    )
    made_from = plan.fingerprint()
    remove_leftovers(folder, name)
    reused, reason = _reusable(folder, name, made_from)
    if reused is not None:
        progress.say(f"image cache {name}: up to date, {len(rows):,} images")
        return reused
    progress.say(f"image cache {name}: building {len(rows):,} images, because {reason}")
    write_cache(folder, plan, made_from, max(1, workers), progress)
    return ImageCache(folder, name)


def _list_rows(
    image_ids: Sequence[str],
    paths: Sequence[Path],
    contents: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    masks: Sequence[str] | Sequence[Sequence[str]] | None,
    dialect: Dialect | None,
) -> list[CacheRow]:
    if not image_ids:
        raise InputError("expected images to cache, found none.")
    twice = sorted(image_id for image_id, times in Counter(image_ids).items() if times > 1)
    if twice:
        title = f"expected every image once, found {len(twice)} ids several times:"
        raise InputError(list_problems(title, twice, "Mend the image table."))
    if dialect is None or masks is None:
        masks = [""] * len(image_ids)

    def cleaned(text: str) -> str:
        known = dialect.empty if dialect is not None else ""
        return "" if is_empty(text) or text.strip() == known else text

    columns = zip(image_ids, paths, contents, sizes, masks, strict=True)
    return [
        CacheRow(
            image_id,
            Path(path),
            content,
            int(height),
            int(width),
            tuple(cleaned(text) for text in ([texts] if isinstance(texts, str) else texts)),
        )
        for image_id, path, content, (height, width), texts in columns
    ]


def _reusable(folder: Path, name: str, made_from: str) -> tuple[ImageCache | None, str]:
    """Return the cache if it is whole and made from the same inputs, or why it is not used."""
    if not (folder / f"{name}.json").exists():
        return None, "there is none"
    try:
        cache = ImageCache(folder, name)
    except (InputError, KeyError, TypeError, ValueError):
        return None, "the one found is damaged"
    if cache.fingerprint != made_from:
        return None, "its inputs have changed"
    return cache, ""
