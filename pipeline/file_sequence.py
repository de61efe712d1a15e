"""Image files that are neighbours in their order, as an exported model is shown them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.image import Reading, read_image
from goldfold.competitions.image_sequence import neighbour_places
from goldfold.competitions.resize import resize_image
from goldfold.errors import ImageError
from goldfold.image_size import ImageSize
from goldfold.training.batch import join_channels

Pixels = NDArray[np.uint8]


class FileSequence:
    """The files of one sequence, such as the slices of a volume.

    Attributes:
        paths: of the files, in order.
    """

    def __init__(self, paths: Sequence[Path], reading: Reading, kept: int = 1) -> None:
        """Take the files; none is read yet.

        Args:
            paths: of the files, in order.
            reading: how they are read.
            kept: images that stay in memory, as the next one in the sequence is shown with them.
        """
        self.paths, self._reading, self._kept = list(paths), reading, kept
        self._images: dict[tuple[int, int], Pixels] = {}

    def image(self, place: int, channels: int) -> Pixels:
        """Return an image at its original size, uint8 (H, W) or (H, W, 3).

        Raises:
            ImageError: the file cannot be read.
        """
        key = (place, channels)
        image = self._images.pop(key, None)
        if image is None:
            image = read_image(self.paths[place], channels, reading=self._reading)
        self._images[key] = image  # the last is the one that was used last
        while len(self._images) > self._kept:
            self._images.pop(next(iter(self._images)))
        return image

    def network_pixels(
        self, place: int, channels: int, neighbours: Sequence[int], size: ImageSize
    ) -> Pixels:
        """Return an image with its neighbours, as a cache does: uint8 (H, W) or (H, W, C).

        Args:
            place: of the image, from 0.
            channels: of each image, 1 or 3.
            neighbours: places relative to the image; () = itself alone.
            size: height and width to which each image is resized.

        Raises:
            ImageError: its file, or that of a neighbour, cannot be read.
        """
        places = neighbour_places(len(self.paths), neighbours or (0,))[place].tolist()
        images = {
            near: resize_image(self._neighbour(place, near, channels), *size)
            for near in dict.fromkeys(places)
        }
        return join_channels([images[near] for near in places])

    def _neighbour(self, place: int, near: int, channels: int) -> Pixels:
        """Return an image that another is shown with.

        Raises:
            ImageError: the file cannot be read.
        """
        try:
            return self.image(near, channels)
        except ImageError as error:
            if near == place:
                raise
            raise ImageError(
                f"{self.paths[place]} cannot be predicted with its neighbours: {error} Without "
                "that file the next one takes its place."
            ) from error
