"""The masks of one image, merged from its mask files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.data_folder import path_in
from goldfold.competitions.images_table import JOINT, OBJECT_JOINT
from goldfold.competitions.mask_faults import LevelRead
from goldfold.competitions.mask_levels import LevelMask, Meaning, NotAMaskError, read_mask
from goldfold.competitions.mask_pixels import values_in
from goldfold.competitions.mask_size_faults import WrongSize
from goldfold.competitions.rle import Dialect, encode
from goldfold.errors import ImageError

Mask = NDArray[np.uint8]
Cell = str | int


@dataclass(frozen=True)
class WantedImage:
    """An image whose masks are wanted; its size in pixels."""

    image_id: str
    height: int
    width: int


@dataclass(frozen=True)
class MaskForm:
    """What is read from mask files, and in which form.

    Attributes:
        meaning: of the files' values.
        dialect: run-length dialect of the cells.
        classes: names of several masks per image, in order; () for one mask.
        ignores: whether cells of the ignored pixels are wanted.
        objects: whether the cell of the objects is wanted.
    """

    meaning: Meaning
    dialect: Dialect
    classes: tuple[str, ...] = ()
    ignores: bool = False
    objects: bool = False


@dataclass(frozen=True)
class MergedMasks:
    """The content of the mask files of an image.

    Attributes:
        image_id: of the image.
        files: number of its mask files.
        merged: largest number of files that were merged into one mask.
        problems: what is wrong with files, a line each.
        wrong_sizes: files of another size than their image.
        refused: files that are not masks.
        levels: the value of the mask in each file.
        background: values that the settings leave out, by file.
        shares: mask -> share of the image's pixels that it covers; "" for the only mask.
        cells: the columns of `Labels.table` after the id: mask, area, rows, overlap, two that do
            not apply; then classes, mask and area of each, of the ignored pixels, and objects.
    """

    image_id: str
    files: int
    merged: int = 0
    problems: list[str] = field(default_factory=list)
    wrong_sizes: list[WrongSize] = field(default_factory=list)
    refused: list[NotAMaskError] = field(default_factory=list)
    levels: list[LevelRead] = field(default_factory=list)
    background: list[tuple[str, ...]] = field(default_factory=list)
    shares: Mapping[str, float] = field(default_factory=dict)
    cells: tuple[Cell, ...] = ()


def merge_masks(
    wanted: WantedImage, data: Path, files: Mapping[Path, Mapping[str, str]], form: MaskForm
) -> MergedMasks:
    """Return the masks of an image; each file is decoded once and merged into its classes.

    A pixel that any file ignores is ignored, and belongs to no mask.

    Args:
        wanted: the image.
        data: folder relative to which messages name files.
        files: file -> class it belongs to ("" without classes) -> pattern that matched it.
        form: what is read.
    """
    merging = _Merging(wanted, form)
    counts = [sum(name in of for of in files.values()) for name in form.classes or ("",)]
    if form.meaning.classes:
        counts = [len(files)]
    result = MergedMasks(wanted.image_id, len(files), max(counts, default=0))
    for path, patterns in files.items():
        name = path_in(data, path)
        try:
            read = read_mask(path, data, form.meaning)
        except NotAMaskError as error:
            result.refused.append(error)
            continue
        except ImageError as error:
            result.problems.append(str(error))
            continue
        if read.mask.shape != (wanted.height, wanted.width):
            height, width = read.mask.shape
            image = wanted.height, wanted.width
            result.wrong_sizes.append(WrongSize(name, (height, width), image))
            continue
        if read.level:
            result.levels.extend(
                LevelRead(pattern, name, read.level, read.full) for pattern in patterns.values()
            )
        if read.background:
            result.background.append(read.background)
        merging.add(read, list(patterns))
    shares, cells = merging.finish(len(files))
    return MergedMasks(
        wanted.image_id,
        result.files,
        result.merged,
        result.problems,
        result.wrong_sizes,
        result.refused,
        result.levels,
        result.background,
        shares,
        cells,
    )


class _Merging:
    """The masks of an image while its files are read."""

    def __init__(self, wanted: WantedImage, form: MaskForm) -> None:
        """Begin with empty masks."""
        shape = wanted.height, wanted.width
        self._form, self._added = form, 0
        self._masks = {name: np.zeros(shape, np.uint8) for name in form.classes or ("",)}
        self._ignored: NDArray[np.bool_] | None = None
        self._objects: list[Mask] = []

    def add(self, read: LevelMask, classes: Sequence[str]) -> None:
        """Merge a file that belongs to these classes, or has several classes itself."""
        parts = read.classes or dict.fromkeys(classes, read.mask)
        for name, mask in parts.items():
            if name in self._masks:
                self._masks[name] |= mask
                self._added += int(np.count_nonzero(mask))
        if read.ignored is not None:
            before = self._ignored
            self._ignored = read.ignored if before is None else before | read.ignored
        if self._form.objects and read.numbers is not None:
            numbers = [number for number in values_in(read.numbers).tolist() if number]
            self._objects += [(read.numbers == number).astype(np.uint8) for number in numbers]
        elif self._form.objects:
            self._objects.append(read.mask)

    def finish(self, files: int) -> tuple[dict[str, float], tuple[Cell, ...]]:
        """Return the shares and the cells of `MergedMasks`."""
        areas = {name: int(np.count_nonzero(mask)) for name, mask in self._masks.items()}
        overlap = self._added - sum(areas.values())
        form, kept = self._form, {name: self._kept(mask) for name, mask in self._masks.items()}
        every = list(kept.values())
        merged = _encoded(
            every[0] if len(every) == 1 else np.bitwise_or.reduce(every), form.dialect
        )
        row: list[Cell] = [*merged, files, overlap, 0, 0]
        cells = {"": merged}
        if form.classes:
            cells = {name: _encoded(mask, form.dialect) for name, mask in kept.items()}
            row.append(JOINT.join(name for name, (_, area) in cells.items() if area))
            row += [cell for of_class in cells.values() for cell in of_class]
        left_out = 0 if self._ignored is None else int(np.count_nonzero(self._ignored))
        if form.ignores:
            row += ("", 0) if self._ignored is None else _encoded(self._ignored, form.dialect)
        if form.objects:
            texts = [_encoded(self._kept(mask), form.dialect)[0] for mask in self._objects]
            row.append(OBJECT_JOINT.join(text for text in texts if text))
        known = max(1, every[0].size - left_out)
        return {name: area / known for name, (_, area) in cells.items()}, tuple(row)

    def _kept(self, mask: Mask) -> Mask:
        """Return a mask without ignored pixels."""
        return mask if self._ignored is None else mask & ~self._ignored


def _encoded(mask: NDArray[Any], dialect: Dialect) -> tuple[str, int]:
    area = int(np.count_nonzero(mask))
    return encode(mask.view(np.uint8), dialect) if area else "", area
