"""Mask files whose values are classes: one file per image, one class per pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.data_folder import path_in
from goldfold.competitions.images_table import CLASSES, JOINT, mask_columns
from goldfold.competitions.mask_paths import ID, Alternatives, MaskIndex
from goldfold.competitions.mask_pixels import MaskPixels, read_mask_pixels, values_in
from goldfold.competitions.mask_size_faults import WrongSize, refuse_sizes
from goldfold.competitions.rle import Dialect, encode
from goldfold.competitions.rle_labels import COLUMNS, Labels
from goldfold.errors import ImageError, first_few
from goldfold.progress import SILENT, Progress
from goldfold.settings_values import ValueSet, parse_values

_UNKNOWN, _IGNORED = -1, -2
_NAMED = 8
"""Unknown values in a message."""


def read_class_files(
    images: pd.DataFrame,
    index: MaskIndex,
    alternatives: Alternatives,
    dialect: Dialect,
    *,
    values: Mapping[str, Sequence[int | str]],
    background: str,
    ignored_values: Sequence[int | str] = (),
    ignored: str = "ignored",
    size: tuple[int, int] | None = None,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Labels:
    """Return the masks of each class, and of the ignored pixels, from files of classes.

    Besides `COLUMNS`, which refer to the masks of all classes but the background together, the
    table has `CLASSES` and the `mask_columns` of each class but the background; where values are
    ignored, also those of `ignored`.

    Args:
        images: image_id, height and width.
        index: index of the mask files for at least these patterns and images.
        alternatives: lists of patterns with `{id}`; an image uses the first that matches a file,
            and that must be a single file.
        dialect: run-length dialect of the result.
        values: class -> its values, as in `labels.values`.
        background: the class that has no mask of its own.
        ignored_values: values of pixels that have no class.
        ignored: what their mask is called.
        size: height and width that all masks are said to have, None if those of their images.
        workers: number of decoding threads.
        progress: advances once per image.
    """
    named = [name for name in values if name != background]
    meaning = [
        (parse_values(of), named.index(name)) for name, of in values.items() if name in named
    ]
    meaning += [
        (parse_values(values[background]), len(named)),
        (parse_values(ignored_values), _IGNORED),
    ]
    reading = _Reading(index, alternatives, dialect, named, meaning, bool(ignored_values))
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
    masks = [*named, *([ignored] if ignored_values else [])]
    own = [CLASSES, *(column for name in masks for column in mask_columns(name))]
    # A file that does not fit is no missing one: its image has a row, with empty cells.
    blank = ("", 0, 1, 0, 0, 0, "", *(cell for _ in masks for cell in ("", 0)))
    rows = [
        image.row or (image_id, *blank)
        for (image_id, _), image in zip(wanted, read, strict=True)
        if image != _ReadImage()
    ]
    table = pd.DataFrame(rows, columns=[*COLUMNS, *own])
    problems = [*index.shared, *(problem for image in read for problem in image.problems)]
    wrong = [image.wrong_size for image in read if image.wrong_size is not None]
    problems += refuse_sizes(wrong, len(rows), size)
    problems += _unknown_values(read)
    notices = [] if problems or table.empty else note_absent(table, named)
    return Labels(table, problems, [], len(rows), notices)


_LIST = (
    "Add them to competition.labels.values, or to ignored_values if loss and metric should skip "
    "them."
)
_LOSSY = (
    "These files are JPEG or the like, which do not keep values exactly: save the classes as PNG, "
    'or list ranges in competition.labels.values, such as liver = ["120..140"].'
)


def note_absent(table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Return a notice with the classes that no mask file contains, if any."""
    absent = [name for name in classes if not table[mask_columns(name)[1]].any()]
    return [f"no mask file contains the values of {', '.join(absent)}"] if absent else []


@dataclass(frozen=True)
class _ReadImage:
    """The cells of an image's row, () where it has no mask; and what is wrong with its file."""

    row: tuple[str | int, ...] = ()
    problems: tuple[str, ...] = ()
    wrong_size: WrongSize | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Values that no class has -> the file."""
    lossy: bool = False


@dataclass(frozen=True)
class _Reading:
    """How the files are found and what their levels mean."""

    index: MaskIndex
    alternatives: Alternatives
    dialect: Dialect
    classes: Sequence[str]
    meaning: Sequence[tuple[ValueSet, int]]
    """Values, and the place of their class; the background's is behind the others'."""
    ignores: bool

    def read(self, image_id: str, shape: tuple[int, int]) -> _ReadImage:
        """Return the masks of an image of (height, width)."""
        matched = (
            (group, {path for pattern in group for path in self.index.files(pattern, image_id)})
            for group in self.alternatives
        )
        group, paths = next(((names, paths) for names, paths in matched if paths), ([], set()))
        if not paths:
            return _ReadImage()
        files = sorted(paths)
        names = [path_in(self.index.data, path) for path in files]
        if len(files) > 1:
            shown = " and ".join(pattern.replace(ID, image_id) for pattern in group)
            problem = (
                f"{image_id} has {len(files)} mask files ({first_few(names)}), but a single file "
                f"must give the class of every pixel: make {shown} match only one"
            )
            return _ReadImage(problems=(problem,))
        try:
            pixels = read_mask_pixels(files[0], self.index.data)
        except ImageError as error:
            return _ReadImage(problems=(str(error),))
        height, width = pixels.codes.shape
        if (height, width) != shape:
            return _ReadImage(wrong_size=WrongSize(names[0], (height, width), shape))
        codes = values_in(pixels.shown)
        places = np.array([self._place(pixels, code) for code in codes.tolist()])
        if (places == _UNKNOWN).any():
            unknown = [pixels.name(code) for code in codes[places == _UNKNOWN].tolist()]
            return _ReadImage(unknown=dict.fromkeys(unknown, names[0]), lossy=pixels.lossy)
        return _ReadImage(self._row(image_id, places[np.searchsorted(codes, pixels.shown)]))

    def _place(self, pixels: MaskPixels, code: float) -> int:
        """Return the place of the class that has a value."""
        return next((place for of, place in self.meaning if pixels.has(of, code)), _UNKNOWN)

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


def _unknown_values(read: Sequence[_ReadImage]) -> list[str]:
    """Return one problem that counts the files of each level that no class has."""
    files: dict[str, list[str]] = {}
    for image in read:
        for value, name in image.unknown.items():
            files.setdefault(value, []).append(name)
    if not files:
        return []
    described = [
        f"{value} in {len(names):,} (the first: {names[0]})"
        for value, names in sorted(files.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    more = f", and {len(files) - _NAMED:,} more values" if len(files) > _NAMED else ""
    lossy = any(image.lossy for image in read)
    return [
        f"{sum(1 for image in read if image.unknown):,} mask files have values that belong to "
        f"no class: {', '.join(described[:_NAMED])}{more}. " + (_LOSSY if lossy else _LIST)
    ]
