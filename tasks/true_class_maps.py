"""The true class maps of images, painted from the run-length encodings of their classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.competitions.class_maps import IGNORED_NUMBER, paint
from goldfold.competitions.images_table import mask_columns, mask_sizes
from goldfold.competitions.rle import get_dialect

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.settings import CompetitionSettings

    ClassMap = NDArray[np.uint8]


class TrueClasses:
    """The true class maps of images of images.csv, painted when they are asked for."""

    def __init__(self, form: CompetitionSettings, images: pd.DataFrame) -> None:
        """Take rows of images.csv, each image once."""
        self._dialect = get_dialect(form.labels.dialect)
        self._numbers = mask_numbers(form)
        sizes = mask_sizes(images, form.mask_size)
        cells = zip(encoded_classes(form, images), sizes, strict=True)
        self._cells = dict(zip(images["image_id"], cells, strict=True))

    def size(self, image_id: str) -> tuple[int, int]:
        """Return height and width of an image's class map."""
        size: tuple[int, int] = self._cells[image_id][1]
        return size

    def read(self, image_id: str) -> ClassMap:
        """Return the class of each pixel, uint8 (H, W), 255 where there is none."""
        masks, size = self._cells[image_id]
        height, width = size
        return paint(masks, self._numbers, height, width, self._dialect)


def mask_numbers(form: CompetitionSettings) -> tuple[int, ...]:
    """Return the class number of each mask in images.csv."""
    known = tuple(range(1, len(form.classes)))
    return (*known, IGNORED_NUMBER) if len(form.labelled_masks) > len(known) else known


def encoded_classes(form: CompetitionSettings, images: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the run-length encodings of each image's classes, and of its ignored pixels."""
    columns = [mask_columns(name)[0] for name in form.labelled_masks]
    return list(zip(*(images[column].tolist() for column in columns), strict=True))
