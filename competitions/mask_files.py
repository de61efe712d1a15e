"""Masks stored as image files; several files per image are merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.data_folder import path_in
from goldfold.competitions.images_table import CLASSES, JOINT, mask_columns
from goldfold.competitions.mask_faults import (
    LevelRead,
    note_merged,
    refuse_levels,
    refuse_unlike_levels,
)
from goldfold.competitions.mask_levels import NotAMaskError, read_mask
from goldfold.competitions.mask_paths import ID, Alternatives, MaskIndex
from goldfold.competitions.rle import Dialect, encode
from goldfold.competitions.rle_labels import COLUMNS, Labels
from goldfold.errors import ImageError
from goldfold.progress import SILENT, Progress


def read_mask_files(
    images: pd.DataFrame,
    index: MaskIndex,
    alternatives: Alternatives,
    dialect: Dialect,
    *,
    classes: Mapping[str, Sequence[str]] | None = None,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Labels:
    """Return the masks of the images that have any; the files of each image are merged.

    With classes the table has `CLASSES` and `mask_columns` besides `COLUMNS`, which refer to the
    merged masks.

    Args:
        images: image_id, height and width.
        index: index of the mask files for at least these patterns and images.
        alternatives: lists of patterns with `{id}`; the first list that matches a file of the image
            is used, and all its patterns must match.
        dialect: run-length dialect of the result.
        classes: class -> patterns, instead of the alternatives; all patterns must match.
        workers: number of decoding threads.
        progress: advances once per image.
    """
    columns = zip(images["image_id"], images["height"], images["width"], strict=True)
    wanted = [_Wanted(name, int(height), int(width)) for name, height, width in columns]
    named = classes or {}

    def read(image: _Wanted) -> _ImageMasks:
        files = (
            _files_of_classes(image.image_id, index, named)
            if named
            else _files_of_image(image.image_id, index, alternatives)
        )
        return _read_image(image, index.data, files, list(named), dialect)

    masks = []
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        with progress.task("reading masks", len(wanted)) as task:
            for image in pool.map(read, wanted):
                task.advance()
                masks.append(image)
    finally:
        pool.shutdown(cancel_futures=True)
    own = [CLASSES, *(column for name in named for column in mask_columns(name))] if named else []
    rows = [(*image.row(), *image.of_classes) for image in masks if image.files]
    table = pd.DataFrame(rows, columns=[*COLUMNS, *own])
    return Labels(table, _problems(index, masks), [], len(rows), note_merged(masks))


def _problems(index: MaskIndex, masks: Sequence[_ImageMasks]) -> list[str]:
    """Return the problems of the files, one line per file or per kind of problem."""
    total = sum(image.files for image in masks)
    return [
        *index.shared,
        *(problem for image in masks for problem in image.problems),
        *refuse_levels([fault for image in masks for fault in image.refused], total),
        *refuse_unlike_levels([level for image in masks for level in image.levels]),
    ]


@dataclass(frozen=True)
class _Wanted:
    """An image whose mask is wanted."""

    image_id: str
    height: int
    width: int


@dataclass(frozen=True)
class _Files:
    """The mask files of an image."""

    masks: dict[Path, dict[str, str]]
    """File -> class it belongs to ("" without classes) -> pattern that matched it."""
    problems: list[str]


@dataclass(frozen=True)
class _ImageMasks:
    """The content of the mask files of an image."""

    image_id: str
    files: int
    merged: int
    """Largest number of files that were merged into one mask."""
    problems: list[str]
    refused: list[NotAMaskError]
    levels: list[LevelRead]
    mask_rle: str = ""
    area_px: int = 0
    overlap_px: int = 0
    of_classes: tuple[str | int, ...] = ()
    """The joined names of the classes with pixels, then mask and area of each class."""

    def row(self) -> tuple[str, str, int, int, int, int, int]:
        """Return the columns of `Labels.table`; end_px and end_row do not apply to mask files."""
        return self.image_id, self.mask_rle, self.area_px, self.files, self.overlap_px, 0, 0


def _files_of_image(image_id: str, index: MaskIndex, alternatives: Alternatives) -> _Files:
    """Return the files of the first alternative that matches any."""
    for group in alternatives:
        matched = {pattern: index.files(pattern, image_id) for pattern in group}
        if any(matched.values()):
            masks = {path: {"": pattern} for pattern, paths in matched.items() for path in paths}
            return _Files(masks, _missing(image_id, index.data, matched))
    return _Files({}, [])


def _files_of_classes(
    image_id: str, index: MaskIndex, classes: Mapping[str, Sequence[str]]
) -> _Files:
    """Return the files of all classes."""
    masks: dict[Path, dict[str, str]] = {}
    matched = {}
    for name, group in classes.items():
        for pattern in group:
            matched[pattern] = index.files(pattern, image_id)
            for path in matched[pattern]:
                masks.setdefault(path, {})[name] = pattern
    return _Files(masks, _missing(image_id, index.data, matched))


def _missing(image_id: str, data: Path, matched: Mapping[str, list[Path]]) -> list[str]:
    """Return a line for each pattern that matches no file although another one does."""
    matching = [paths[0] for paths in matched.values() if paths]
    return [
        f"{image_id} has {path_in(data, matching[0])}, but no {pattern.replace(ID, image_id)}"
        for pattern, paths in matched.items()
        if matching and not paths
    ]


def _read_image(
    wanted: _Wanted, data: Path, files: _Files, classes: Sequence[str], dialect: Dialect
) -> _ImageMasks:
    """Return the masks of an image; each file is decoded once and merged into its classes."""
    shape = wanted.height, wanted.width
    merged = {name: np.zeros(shape, np.uint8) for name in classes or [""]}
    added = 0
    problems, refused, levels = list(files.problems), [], []
    for path, patterns in files.masks.items():
        try:
            read = read_mask(path, data)
        except NotAMaskError as error:
            refused.append(error)
            continue
        except ImageError as error:
            problems.append(str(error))
            continue
        if read.mask.shape != shape:
            problems.append(_other_size(path_in(data, path), read.mask, wanted))
            continue
        levels += [
            LevelRead(pattern, path_in(data, path), read.level, read.full)
            for pattern in patterns.values()
            if read.level
        ]
        added += int(np.count_nonzero(read.mask)) * len(patterns)
        for name in patterns:
            merged[name] |= read.mask
    counts = [sum(name in patterns for patterns in files.masks.values()) for name in merged]
    head = wanted.image_id, len(files.masks), max(counts), problems, refused, levels
    return _ImageMasks(*head, *_cells(merged, added, classes, dialect))


def _other_size(name: str, mask: NDArray[np.uint8], wanted: _Wanted) -> str:
    return (
        f"{name} is {mask.shape[0]} x {mask.shape[1]}, its image {wanted.height} x "
        f"{wanted.width} (height x width)"
    )


def _cells(
    merged: Mapping[str, NDArray[np.uint8]], added: int, classes: Sequence[str], dialect: Dialect
) -> tuple[str, int, int, tuple[str | int, ...]]:
    """Return mask, area, overlap and cells of classes: the last four fields of `_ImageMasks`.

    Args:
        merged: class -> mask, uint8 (H, W).
        added: sum of the areas of all files, counting overlaps repeatedly.
        classes: names of the classes, empty for a single mask.
        dialect: run-length dialect of the cells.
    """
    own: list[tuple[str, int]] = [_encoded(mask, dialect) for mask in merged.values()]
    overlap = added - sum(area for _, area in own)
    if not classes:
        return *own[0], overlap, ()
    everything = np.bitwise_or.reduce(list(merged.values()))
    seen = JOINT.join(name for name, (_, area) in zip(classes, own, strict=True) if area)
    return *_encoded(everything, dialect), overlap, (seen, *_flat(own))


def _encoded(mask: NDArray[np.uint8], dialect: Dialect) -> tuple[str, int]:
    area = int(np.count_nonzero(mask))
    return encode(mask, dialect) if area else "", area


def _flat(cells: Iterable[tuple[str, int]]) -> list[str | int]:
    return [cell for pair in cells for cell in pair]
