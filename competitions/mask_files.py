"""Labels that are mask images: one file an image, or several that are united."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.find import find_images, path_in
from goldfold.competitions.image import read_image
from goldfold.competitions.images_table import CLASSES, JOINT, mask_columns
from goldfold.competitions.labels import COLUMNS, Labels
from goldfold.competitions.rle import Dialect, encode
from goldfold.errors import ImageError
from goldfold.progress import SILENT, Progress

ID = "{id}"
_DARK = 127  # a pixel of a mask is brighter, unless the file holds 0 and 1 only

Alternatives = Sequence[Sequence[str]]


def mask_globs(alternatives: Alternatives) -> list[str]:
    """Return globs that match every mask file.

    >>> mask_globs([["masks/{id}_mask.png"]])
    ['masks/*_mask.png']
    """
    return [pattern.replace(ID, "*") for group in alternatives for pattern in group]


def masks_without_image(data: Path, alternatives: Alternatives, known: set[str]) -> list[str]:
    """Return the ids, sorted, that mask files have and no image has."""
    found = set()
    for pattern in (pattern for group in alternatives for pattern in group):
        before, _, after = pattern.partition(ID)
        named = re.compile(f"{_glob_pattern(before)}(.+?){_glob_pattern(after)}")
        for path in find_images(data, [pattern.replace(ID, "*")]):
            if match := named.fullmatch(path_in(data, path)):
                found.add(match.group(1))
    return sorted(found - known)


def _glob_pattern(glob: str) -> str:
    """Return the regular expression of a piece of a glob; `**/` may stand for no folder at all."""
    parts = re.split(r"(\*\*/|\*|\?)", glob)
    means = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return "".join(means.get(part, re.escape(part)) for part in parts)


def read_mask_files(
    images: pd.DataFrame,
    data: Path,
    alternatives: Alternatives,
    dialect: Dialect,
    *,
    classes: Mapping[str, Sequence[str]] | None = None,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Labels:
    """Return the labels of the images that have masks, the files of an image united.

    With classes the table has, beside `COLUMNS` of all masks united, `CLASSES` and `mask_columns`.

    Args:
        images: image_id, height and width.
        data: folder from which the patterns count.
        alternatives: each a list of patterns with `{id}`, all of which belong to an image; the
            first alternative of which a file is there counts for it.
        dialect: in which the masks are kept.
        classes: patterns by class, in place of the alternatives; all belong to an image.
        workers: threads that decode.
        progress: where a step is counted for each image.
    """
    rows, problems = [], []
    columns = zip(images["image_id"], images["height"], images["width"], strict=True)
    wanted = [_Wanted(name, int(height), int(width)) for name, height, width in columns]
    named = classes or {}
    columns_of_classes = [column for name in named for column in mask_columns(name)]

    def read(one: _Wanted) -> _Found:
        if named:
            return _read_classes(one, data, named, dialect)
        return _read(one, data, alternatives, dialect)

    pool = ThreadPoolExecutor(max(1, workers))
    try:
        with progress.task("reading masks", len(wanted)) as task:
            for found in pool.map(read, wanted):
                task.advance()
                problems += found.problems
                if found.files:
                    rows.append((*found.row(), *found.of_classes))
    finally:
        pool.shutdown(cancel_futures=True)
    own = [CLASSES, *columns_of_classes] if named else []
    return Labels(pd.DataFrame(rows, columns=[*COLUMNS, *own]), problems, [], len(rows))


@dataclass(frozen=True)
class _Wanted:
    """An image whose mask is looked for."""

    image_id: str
    height: int
    width: int


@dataclass(frozen=True)
class _Found:
    """What its files hold."""

    image_id: str
    files: int
    problems: list[str]
    mask_rle: str = ""
    area_px: int = 0
    overlap_px: int = 0
    of_classes: tuple[str | int, ...] = ()
    """Names of the classes with pixels, and mask and area of each class."""

    def row(self) -> tuple[str, str, int, int, int, int, int]:
        """Return the columns of `Labels.table`; a mask of the image's size ends within it."""
        return self.image_id, self.mask_rle, self.area_px, self.files, self.overlap_px, 0, 0


def _read(wanted: _Wanted, data: Path, alternatives: Alternatives, dialect: Dialect) -> _Found:
    """Return an image's united mask."""
    paths, problems = _paths(wanted.image_id, data, alternatives)
    united, total, bad = _united(wanted, data, paths)
    area = int(np.count_nonzero(united))
    text = encode(united, dialect) if area else ""
    return _Found(wanted.image_id, len(paths), [*problems, *bad], text, area, total - area)


def _read_classes(
    wanted: _Wanted, data: Path, classes: Mapping[str, Sequence[str]], dialect: Dialect
) -> _Found:
    """Return an image's mask of each class, and all of them united."""
    patterns = [pattern for group in classes.values() for pattern in group]
    there, problems = _paths(wanted.image_id, data, [patterns])
    everything = np.zeros((wanted.height, wanted.width), np.uint8)
    cells: list[str | int] = []
    seen, overlap = [], 0
    for name, group in classes.items():
        found = [_first(data, pattern.replace(ID, wanted.image_id)) for pattern in group]
        mask, total, bad = _united(wanted, data, [path for path in found if path is not None])
        area = int(np.count_nonzero(mask))
        problems += bad
        everything |= mask
        overlap += total - area
        cells += [encode(mask, dialect) if area else "", area]
        seen += [name] if area else []
    area = int(np.count_nonzero(everything))
    text = encode(everything, dialect) if area else ""
    of_classes = (JOINT.join(seen), *cells)
    return _Found(wanted.image_id, len(there), problems, text, area, overlap, of_classes)


def _united(
    wanted: _Wanted, data: Path, paths: Sequence[Path]
) -> tuple[NDArray[np.uint8], int, list[str]]:
    """Return the union of mask files, uint8 (H, W), the sum of their pixels, and what is wrong."""
    united = np.zeros((wanted.height, wanted.width), np.uint8)
    total, problems = 0, []
    for path in paths:
        try:
            mask = read_mask(path, data)
        except ImageError as error:
            problems.append(str(error))
            continue
        if mask.shape != united.shape:
            problems.append(
                f"{path_in(data, path)} is {mask.shape[0]} x {mask.shape[1]}, its image "
                f"{wanted.height} x {wanted.width} (height x width)"
            )
            continue
        total += int(np.count_nonzero(mask))
        united |= mask
    return united, total, problems


def _paths(image_id: str, data: Path, alternatives: Alternatives) -> tuple[list[Path], list[str]]:
    """Return the mask files of an image, and a line for each that is missing beside others."""
    for group in alternatives:
        found = {pattern: _first(data, pattern.replace(ID, image_id)) for pattern in group}
        there = [path for path in found.values() if path is not None]
        if there:
            missing = [
                f"{image_id} has {path_in(data, there[0])}, but no {pattern.replace(ID, image_id)}"
                for pattern, path in found.items()
                if path is None
            ]
            return there, missing
    return [], []


def _first(data: Path, name: str) -> Path | None:
    if (data / name).is_file():
        return data / name
    if not set("*?[") & set(name):
        return None
    return next(iter(find_images(data, [name])), None)


def read_mask(path: Path, below: Path | None = None) -> NDArray[np.uint8]:
    """Return a mask file as (H, W) uint8 of 0 and 1.

    A file of 0 and 1 is taken as it stands; of any other, pixels of 128 and more are the mask, so
    that soft or compressed edges do no harm.

    Raises:
        ImageError: it cannot be read, or its brightest pixel is neither 1 nor 128 and more.
    """
    gray = read_image(path, below=below)
    brightest = int(gray.max())
    if 1 < brightest <= _DARK:
        name = path_in(below, path) if below is not None else path
        raise ImageError(
            f"{name} is no mask: its brightest pixel is {brightest}; expected 0 and 255, or 0 "
            "and 1. Files with a number for each class have to be taken apart first."
        )
    mask: NDArray[np.uint8] = (gray > (_DARK if brightest > 1 else 0)).astype(np.uint8)
    return mask
