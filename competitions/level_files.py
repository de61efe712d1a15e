"""Mask files whose gray levels are classes: one file per image, one class per pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.data_folder import path_in
from goldfold.competitions.image import read_stored
from goldfold.competitions.images_table import CLASSES, JOINT, mask_columns
from goldfold.competitions.mask_paths import ID, Alternatives, MaskIndex
from goldfold.competitions.rle import Dialect, encode
from goldfold.competitions.rle_labels import COLUMNS, Labels
from goldfold.errors import ImageError, first_few
from goldfold.progress import SILENT, Progress

_LEVELS = 1 << 16
_UNKNOWN, _IGNORED = -1, -2
_NAMED = 8
"""Unknown levels in a message."""


def read_level_files(
    images: pd.DataFrame,
    index: MaskIndex,
    alternatives: Alternatives,
    dialect: Dialect,
    *,
    levels: Mapping[str, Sequence[int]],
    background: str,
    ignored_levels: Sequence[int] = (),
    ignored: str = "ignored",
    workers: int = 1,
    progress: Progress = SILENT,
) -> Labels:
    """Return the masks of each class, and of the ignored pixels, from files of levels.

    Besides `COLUMNS`, which refer to the masks of all classes but the background together, the
    table has `CLASSES` and the `mask_columns` of each class but the background; where levels are
    ignored, also those of `ignored`.

    Args:
        images: image_id, height and width.
        index: index of the mask files for at least these patterns and images.
        alternatives: lists of one pattern with `{id}`; an image uses the first that matches.
        dialect: run-length dialect of the result.
        levels: class -> its gray levels (palette indices of palette files), 0 to 65535.
        background: the class that has no mask of its own.
        ignored_levels: levels of pixels that have no class.
        ignored: what their mask is called.
        workers: number of decoding threads.
        progress: advances once per image.
    """
    places = np.full(_LEVELS, _UNKNOWN, np.int64)
    named = [name for name in levels if name != background]
    for name, of_class in levels.items():
        places[list(of_class)] = named.index(name) if name != background else len(named)
    places[list(ignored_levels)] = _IGNORED
    reading = _Reading(index, alternatives, dialect, named, places, bool(ignored_levels))
    columns = zip(images["image_id"], images["height"], images["width"], strict=True)
    wanted = [(str(name), (int(height), int(width))) for name, height, width in columns]
    with (
        ThreadPoolExecutor(max(1, workers)) as pool,
        progress.task("reading masks", len(wanted)) as task,
    ):
        read = []
        for image in pool.map(lambda image: reading.read(*image), wanted):
            read.append(image)
            task.advance()
    masks = [*named, *([ignored] if ignored_levels else [])]
    own = [CLASSES, *(column for name in masks for column in mask_columns(name))]
    rows = [image.row for image in read if image.row]
    table = pd.DataFrame(rows, columns=[*COLUMNS, *own])
    problems = [*index.shared, *(problem for image in read for problem in image.problems)]
    return Labels(table, [*problems, *_unknown_levels(read)], [], len(rows))


@dataclass(frozen=True)
class _ReadImage:
    """The cells of an image's row, () where it has no mask; and what is wrong with its file."""

    row: tuple[str | int, ...] = ()
    problems: tuple[str, ...] = ()
    unknown: Mapping[int, str] = field(default_factory=dict)
    """Levels that no class has -> the file."""


@dataclass(frozen=True)
class _Reading:
    """How the files are found and what their levels mean."""

    index: MaskIndex
    alternatives: Alternatives
    dialect: Dialect
    classes: Sequence[str]
    places: NDArray[np.int64]
    ignores: bool

    def read(self, image_id: str, shape: tuple[int, int]) -> _ReadImage:
        """Return the masks of an image of (height, width)."""
        matched = (
            (pattern, self.index.files(pattern, image_id))
            for group in self.alternatives
            for pattern in group
        )
        pattern, files = next(((name, paths) for name, paths in matched if paths), ("", []))
        if not files:
            return _ReadImage()
        names = [path_in(self.index.data, path) for path in files]
        if len(files) > 1:
            shown = pattern.replace(ID, image_id)
            problem = (
                f"{image_id} has {len(files)} mask files ({first_few(names)}), but a single file "
                f"must give the class of every pixel: make {shown} match only one"
            )
            return _ReadImage(problems=(problem,))
        try:
            levels = _levels_of(files[0], self.index.data)
        except ImageError as error:
            return _ReadImage(problems=(str(error),))
        if levels.shape != shape:
            size = f"{levels.shape[0]} x {levels.shape[1]}"
            expected = f"{shape[0]} x {shape[1]} (height x width)"
            return _ReadImage(problems=(f"{names[0]} is {size}, its image {expected}",))
        places = self.places[levels]
        if (places == _UNKNOWN).any():
            unknown = np.unique(levels[places == _UNKNOWN]).tolist()
            return _ReadImage(unknown=dict.fromkeys(unknown, names[0]))
        return _ReadImage(self._row(image_id, places))

    def _row(self, image_id: str, places: NDArray[np.int64]) -> tuple[str | int, ...]:
        """Return the columns of `Labels.table`: COLUMNS, the classes' names, each mask and area."""
        masks = [places == place for place in range(len(self.classes))]
        everything = np.logical_or.reduce(masks)
        if self.ignores:
            masks.append(places == _IGNORED)
        cells = [self._encoded(mask) for mask in masks]
        seen = [name for name, (_, area) in zip(self.classes, cells, strict=False) if area]
        flat = [cell for pair in cells for cell in pair]
        return image_id, *self._encoded(everything), 1, 0, 0, 0, JOINT.join(seen), *flat

    def _encoded(self, mask: NDArray[np.bool_]) -> tuple[str, int]:
        area = int(np.count_nonzero(mask))
        return encode(mask, self.dialect) if area else "", area


def _levels_of(path: Path, data: Path) -> NDArray[np.uint8 | np.uint16]:
    """Return the levels of a file, (H, W).

    Raises:
        ImageError: it cannot be read, or has no levels.
    """
    stored = read_stored(path, data)
    name, pixels = path_in(data, path), stored.pixels
    if stored.kind == "JPEG":
        raise ImageError(
            f"{name} is a JPEG, which does not keep gray levels exactly. Save the classes as PNG."
        )
    if pixels.ndim == 2:
        return pixels
    if not (pixels[..., :3] == pixels[..., :1]).all():
        raise ImageError(
            f"{name} has colours, but the class of each pixel must be a gray level. Set "
            "competition.labels.masks to the files of gray levels, or convert colours to levels."
        )
    return pixels[..., 0]


def _unknown_levels(read: Sequence[_ReadImage]) -> list[str]:
    """Return one problem that counts the files of each level that no class has."""
    files: dict[int, list[str]] = {}
    for image in read:
        for level, name in image.unknown.items():
            files.setdefault(level, []).append(name)
    if not files:
        return []
    described = [
        f"{level} in {len(names):,} (the first: {names[0]})"
        for level, names in sorted(files.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    more = f", and {len(files) - _NAMED:,} more levels" if len(files) > _NAMED else ""
    return [
        f"{sum(1 for image in read if image.unknown):,} mask files have levels that belong to "
        f"no class: {', '.join(described[:_NAMED])}{more}. Add them to "
        "competition.labels.levels, or to ignored_levels if loss and metric should skip them."
    ]
