"""Brings true masks to the size at which masks are predicted, scored and submitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.class_maps import paint
from goldfold.competitions.images_table import (
    CLASSES,
    JOINT,
    OBJECT_JOINT,
    OBJECTS,
    mask_columns,
    mask_sizes,
)
from goldfold.competitions.resize import resize_class_map, resize_ignored, resize_mask
from goldfold.competitions.rle import Dialect, decode, encode
from goldfold.errors import RunLengthError
from goldfold.progress import SILENT, Progress
from goldfold.settings import CompetitionSettings

Mask = NDArray[np.uint8]


def resize_labels(
    images: pd.DataFrame,
    settings: CompetitionSettings,
    dialect: Dialect,
    *,
    workers: int = 1,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Return the table with masks of `submission.size`, or of their image's size without it.

    A pixel belongs to a mask that covers at least half of it (`resize_mask`); of classes that
    exclude each other it gets the one that covers most of it (`resize_class_map`), and a pixel that
    touches an ignored one is ignored. Masks that do not fit the size that they are said to have
    stay as they are; they are problems already.

    Args:
        images: columns of images.csv, with masks of `labels.size`, or of their image's size.
        settings: of the competition.
        dialect: of the masks in the table.
        workers: number of threads.
        progress: advances once per image with masks of another size.
    """
    sources = mask_sizes(images, settings.labels.size)
    targets = mask_sizes(images, settings.submission.size)
    resizer = _Resizer(settings, dialect)
    texts = [name for name in images.columns if name in resizer.texts]
    filled = (images[texts] != "").any(axis=1).tolist()
    changed = [
        place
        for place, (source, target) in enumerate(zip(sources, targets, strict=True))
        if source != target and filled[place]
    ]
    if not changed:
        return images
    columns = [name for name in images.columns if name in resizer.columns]
    rows = images.iloc[changed][columns].to_dict("records")
    resized = []
    with (
        progress.task("resizing masks", len(changed)) as task,
        ThreadPoolExecutor(max(1, workers)) as pool,
    ):
        jobs = (rows, [sources[place] for place in changed], [targets[place] for place in changed])
        for cells in pool.map(resizer.resize, *jobs):
            resized.append(cells)
            task.advance()
    table = images.copy()
    for column in columns:
        cells_of_column = table[column].tolist()
        for place, cells in zip(changed, resized, strict=True):
            cells_of_column[place] = cells[column]
        table[column] = pd.Series(cells_of_column, index=table.index, dtype=images[column].dtype)
    return table


class _Resizer:
    """Resizes the masks of one row of images.csv after the other."""

    def __init__(self, settings: CompetitionSettings, dialect: Dialect) -> None:
        self.names = settings.labelled_masks
        self.exclusive = settings.background is not None
        self.classes, self.dialect = settings.mask_classes, dialect
        own = [mask_columns(name) for name in self.names]
        self.texts = {"mask_rle", *(text for text, _ in own)}
        self.columns = {*self.texts, "area_px", CLASSES, OBJECTS, *(area for _, area in own)}

    def resize(
        self, row: dict[Any, Any], source: tuple[int, int], target: tuple[int, int]
    ) -> dict[Any, Any]:
        """Return a row with masks of another size."""
        try:
            return self._resized(row, source, target)
        except RunLengthError:
            return row

    def _resized(
        self, row: dict[Any, Any], source: tuple[int, int], target: tuple[int, int]
    ) -> dict[Any, Any]:
        row = dict(row)
        cells = [row[mask_columns(name)[0]] for name in self.names]
        if self.exclusive:
            masks = self._class_masks(cells, source, target)
        else:
            masks = [self._mask(text, source, target) for text in cells]
        ignored = np.zeros(target, np.uint8)
        if not self.exclusive and len(masks) > len(self.classes):
            masks[-1] = ignored = self._mask(cells[-1], source, target, resize_ignored)
        own = [_without(mask, ignored) for mask in masks[: len(self.classes)]]
        for name, mask in zip(self.names, [*own, *masks[len(self.classes) :]], strict=True):
            text, area = mask_columns(name)
            row[text], row[area] = self._encoded(mask)
        if self.classes:
            merged: Mask = np.bitwise_or.reduce(own)
            filled = zip(self.classes, own, strict=True)
            row[CLASSES] = JOINT.join(name for name, mask in filled if mask.any())
        else:
            merged = _without(self._mask(row["mask_rle"], source, target), ignored)
        row["mask_rle"], row["area_px"] = self._encoded(merged)
        if OBJECTS in row:
            texts = [text for text in row[OBJECTS].split(OBJECT_JOINT) if text]
            objects = [_without(self._mask(text, source, target), ignored) for text in texts]
            row[OBJECTS] = OBJECT_JOINT.join(
                self._encoded(mask)[0] for mask in objects if mask.any()
            )
        return row

    def _mask(
        self,
        text: str,
        source: tuple[int, int],
        target: tuple[int, int],
        resize: Callable[[Mask, int, int], Mask] = resize_mask,
    ) -> Mask:
        if not text:
            return np.zeros(target, np.uint8)
        return resize(decode(text, *source, self.dialect), *target)

    def _class_masks(
        self, cells: Sequence[str], source: tuple[int, int], target: tuple[int, int]
    ) -> list[Mask]:
        """Return masks of classes, and of ignored pixels, that exclude each other."""
        numbers = list(range(1, len(cells) + 1))
        class_map = resize_class_map(paint(cells, numbers, *source, self.dialect), *target)
        return [(class_map == number).astype(np.uint8) for number in numbers]

    def _encoded(self, mask: Mask) -> tuple[str, int]:
        """Return a mask as images.csv holds it, "" where it is empty, and its area in pixels."""
        area = int(np.count_nonzero(mask))
        return (encode(mask, self.dialect) if area else ""), area


def _without(mask: Mask, ignored: Mask) -> Mask:
    """Return a mask without the pixels of another one."""
    kept = mask.copy()
    kept[ignored > 0] = 0
    return kept
