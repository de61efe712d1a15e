"""Masks stored as image files; several files per image are merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from goldfold.competitions.data_folder import path_in
from goldfold.competitions.data_report import count_ids
from goldfold.competitions.images_table import CLASSES, OBJECTS, mask_columns
from goldfold.competitions.mask_faults import (
    note_absent,
    note_background,
    note_merged,
    note_mixed_levels,
    refuse_absent,
    refuse_inverted,
    refuse_levels,
    refuse_unlike_levels,
)
from goldfold.competitions.mask_levels import TWO_LEVELS, Meaning
from goldfold.competitions.mask_paths import ID, Alternatives, MaskIndex
from goldfold.competitions.mask_size_faults import refuse_sizes
from goldfold.competitions.merged_masks import MaskForm, MergedMasks, WantedImage, merge_masks
from goldfold.competitions.rle import Dialect
from goldfold.competitions.rle_labels import COLUMNS, Labels
from goldfold.progress import SILENT, Progress


def read_mask_files(
    images: pd.DataFrame,
    index: MaskIndex,
    alternatives: Alternatives,
    dialect: Dialect,
    *,
    classes: Mapping[str, Sequence[str]] | None = None,
    meaning: Meaning = TWO_LEVELS,
    ignored: str = "",
    objects: bool = False,
    absent_is_empty: bool = False,
    size: tuple[int, int] | None = None,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Labels:
    """Return the masks of the images that have any; the files of each image are merged.

    With classes the table has `CLASSES` and `mask_columns` besides `COLUMNS`, which refer to the
    merged masks. With `ignored` it has the `mask_columns` of that name, and with `objects` the
    column `OBJECTS`: each file is an object, or each value of a file.

    Args:
        images: image_id, height and width.
        index: index of the mask files for at least these patterns and images.
        alternatives: lists of patterns with `{id}`; the first list that matches a file of the image
            is used, and all its patterns must match.
        dialect: run-length dialect of the result.
        classes: class -> patterns, instead of the alternatives; all patterns must match.
        meaning: of the files' values; it may name classes that are found in each file.
        ignored: what the mask of the ignored pixels is called, "" if none is wanted.
        objects: whether the metric compares objects.
        absent_is_empty: whether a pattern without a file is an empty mask where an image has other
            files, not a problem.
        size: height and width that all masks are said to have, None if those of their images.
        workers: number of decoding threads.
        progress: advances once per image.
    """
    columns = zip(images["image_id"], images["height"], images["width"], strict=True)
    wanted = [WantedImage(str(name), int(height), int(width)) for name, height, width in columns]
    named, of_values = classes or {}, tuple(meaning.classes)
    form = MaskForm(meaning, dialect, of_values or tuple(named), bool(ignored), objects)

    def read(image: WantedImage) -> tuple[MergedMasks, _Files]:
        files = (
            _files_of_classes(image.image_id, index, named)
            if named
            else _files_of_image(image.image_id, index, alternatives)
        )
        return merge_masks(image, index.data, files.masks, form), files

    masks, problems, unused, absent = [], [*index.shared], [], []
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        with progress.task("reading masks", len(wanted)) as task:
            for image, files in pool.map(read, wanted):
                task.advance()
                masks.append(image)
                problems += image.problems if absent_is_empty else [*files.absent, *image.problems]
                absent += [image.image_id] if files.absent else []
                unused += [image.image_id] if files.unused else []
    finally:
        pool.shutdown(cancel_futures=True)
    own = [CLASSES, *_columns(form.classes)] if form.classes else []
    own += [*_columns([ignored] if ignored else []), *([OBJECTS] if objects else [])]
    rows = [(image.image_id, *image.cells) for image in masks if image.files]
    table = pd.DataFrame(rows, columns=[*COLUMNS, *own])
    wrong = [file for image in masks for file in image.wrong_sizes]
    problems += refuse_sizes(wrong, sum(image.files for image in masks), size)
    problems += _problems(masks, meaning)
    notices = [
        *_notices(masks, meaning, objects),
        *count_ids(
            unused,
            "image has", "images have",
            "mask files of several lists of labels.masks; those of the first are used",
        ),
        *count_ids(
            absent,
            "image has", "images have",
            "no file of some pattern, taken as an empty mask" if absent_is_empty else
            'no file of some pattern (competition.labels.absent_masks = "empty" takes that mask as '
            "empty)",
        ),
    ]  # fmt: skip
    return Labels(table, problems, [], len(rows), notices)


def _columns(names: Sequence[str]) -> list[str]:
    return [column for name in names for column in mask_columns(name)]


def _problems(masks: Sequence[MergedMasks], meaning: Meaning) -> list[str]:
    """Return a line for each kind of file that is not a mask."""
    total = sum(image.files for image in masks)
    refused = [fault for image in masks for fault in image.refused]
    return [
        *refuse_levels(refused, total),
        *refuse_unlike_levels([level for image in masks for level in image.levels]),
        *([] if refused else refuse_absent(_with_files(masks), meaning)),
        *(refuse_inverted(masks) if meaning.guessed else []),
    ]


def _notices(masks: Sequence[MergedMasks], meaning: Meaning, objects: bool) -> list[str]:
    merged = [] if objects else note_merged(masks)
    levels = [level for image in masks for level in image.levels]
    mixed = [] if refuse_unlike_levels(levels) else note_mixed_levels(levels)
    absent = note_absent(_with_files(masks), meaning)
    return [*merged, *mixed, *note_background(masks), *absent]


def _with_files(masks: Sequence[MergedMasks]) -> list[MergedMasks]:
    return [image for image in masks if image.files]


@dataclass(frozen=True)
class _Files:
    """The mask files of an image.

    Attributes:
        masks: file -> class it belongs to ("" without classes) -> pattern that matched it.
        absent: a line for each pattern that matches no file although another one does.
        unused: whether further alternatives match other files.
    """

    masks: dict[Path, dict[str, str]]
    absent: list[str]
    unused: bool = False


def _files_of_image(image_id: str, index: MaskIndex, alternatives: Alternatives) -> _Files:
    """Return the files of the first alternative that matches any."""
    for place, group in enumerate(alternatives):
        matched = {pattern: index.files(pattern, image_id) for pattern in group}
        if any(matched.values()):
            masks = {path: {"": pattern} for pattern, paths in matched.items() for path in paths}
            later = (pattern for further in alternatives[place + 1 :] for pattern in further)
            others = {path for pattern in later for path in index.files(pattern, image_id)}
            missing = _missing(image_id, index.data, matched)
            return _Files(masks, missing, bool(others - masks.keys()))
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
