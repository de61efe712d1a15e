"""An image cache as it lies on the disk: rows of pixels and masks, memory-mapped."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_maps import IGNORED_NUMBER
from goldfold.errors import InputError, list_problems
from goldfold.files import read_json
from goldfold.image_size import ImageSize, height_and_width
from goldfold.training.batch import join_channels
from goldfold.training.cache_writer import pixel_shape, unpack_masks

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
        ignores: whether images have a mask of ignored pixels behind the others.
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
        self.ignores: bool = facts.get("ignores", False)
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

    @property
    def planes(self) -> int:
        """Masks that are stored of an image, that of ignored pixels among them."""
        return self.classes + self.ignores

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

        (H, W), or (C, H, W) where an image has several, with ignored pixels (C + 1, H, W). Where a
        pixel has exactly one class, (H, W) of class numbers.
        """
        if not self.labelled:
            raise ValueError(f"the cache {self.name} was built without masks")
        stored = self._mask_rows[row]
        single = self.planes == 1 or bool(self.numbers)
        shape = self.image_size if single else (self.planes, *self.image_size)
        if stored < 0:
            return np.zeros(shape, dtype=np.uint8)
        mask: Mask = self._masks[stored]
        return mask if single else unpack_masks(mask, self.planes)

    def stored_pixels(self, rows: NDArray[np.int64]) -> Pixels:
        """Return the pixels of these rows alone, without neighbours, as the file has them."""
        pixels: Pixels = self.pixels[rows]
        return pixels

    def stored_places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where the file has the masks of these rows, -1 for empty ones."""
        return self._mask_rows[rows]

    def stored_masks(self, places: NDArray[np.int64]) -> Mask:
        """Return masks as the file has them, uint8 (N, H, W); places as in `stored_places`."""
        masks: Mask = self._masks[places]
        return masks

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
