"""Collects the files of a competition into one table of images and a report of problems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from goldfold.competitions.collection_notes import (
    compare_with_sample,
    count_images,
    note_hidden_patients,
    note_patients_of_both,
)
from goldfold.competitions.data_folder import (
    find_excluded,
    find_images,
    image_id_of,
    path_in,
    require_folder,
)
from goldfold.competitions.data_report import DataReport, count_ids
from goldfold.competitions.extra_table import add_table
from goldfold.competitions.group_columns import add_group_columns, add_header_groups
from goldfold.competitions.image import FACTS, ImageHeader
from goldfold.competitions.image_facts import add_path_facts, add_window_share
from goldfold.competitions.image_headers import read_headers
from goldfold.competitions.images_table import CONTENT, training_images
from goldfold.competitions.label_join import add_labels
from goldfold.competitions.label_notes import note_constant_labels, note_tables
from goldfold.competitions.prediction_rows import report_rows
from goldfold.errors import ImageError
from goldfold.file_hashes import hash_files
from goldfold.progress import SILENT, Progress
from goldfold.settings import CompetitionSettings, ImageFiles

__all__ = ["DataReport", "collect_images", "excluded_test_ids"]

METADATA = ("patient", "sex", "age", "view", "spacing_mm", "transfer_syntax", "photometric")


def collect_images(
    settings: CompetitionSettings,
    *,
    hashes: Mapping[str, str] | None = None,
    workers: int = 1,
    progress: Progress = SILENT,
) -> tuple[pd.DataFrame, DataReport]:
    """Return the table of images (columns of images.csv) and the report.

    All problems are collected; the table contains what could be read.

    Args:
        settings: settings of the competition.
        hashes: path in the data folder -> hash of the image, computed before anything is read, so
            that a file that changes in the meantime is noticed next time; None = hash the files
            now.
        workers: number of reading threads.
        progress: advances once per image.

    Raises:
        InputError: the data folder is missing, or a table is missing or unreadable.
    """
    data = require_folder(settings.data)
    report = DataReport()
    splits = [
        _images_of_split(data, split, globs, settings.images, report)
        for split, globs in (("train", settings.images.train), ("test", settings.images.test))
    ]
    _note_idle_excludes(data, settings.images, report)
    _note_ids_of_both(splits[0].images, splits[1].images, report)
    everything = pd.concat([split.images for split in splits], ignore_index=True)
    contents = _content_hashes(everything, data, hashes, workers)
    everything[CONTENT] = pd.Series(contents, dtype=str)
    images = _add_headers(everything, data, settings, workers, progress, report)
    images = add_path_facts(images, settings.images.facts, report)
    images = add_window_share(images, data, settings.images, workers, progress, report)
    left_out = {*everything["image_id"], *splits[0].excluded, *splits[1].excluded}
    left_out -= set(images["image_id"])
    images = add_labels(
        images, left_out, data, settings, report, workers=workers, progress=progress
    )
    for extra in settings.tables:
        images = add_table(images, data, extra, report, settings.labels.id_ignores)
    images = add_group_columns(images, data, settings)
    report_rows(images, settings, report)
    compare_with_sample(images, splits[1].excluded, data, settings, report)
    count_images(images, settings, report)
    note_tables(data, settings, report)
    if not report.problems:  # labels that cannot be read are not constant
        note_constant_labels(training_images(images), settings, report)
    note_hidden_patients(training_images(images), report)
    note_patients_of_both(images, report)
    return images, report


def _content_hashes(
    images: pd.DataFrame, data: Path, hashes: Mapping[str, str] | None, workers: int
) -> list[str]:
    """Return the content hash of each image, as given or computed from the file."""
    if hashes is not None:
        return [hashes.get(path, "") for path in images["path"]]
    return hash_files([data / path for path in images["path"]], root=data, workers=workers)


def excluded_test_ids(settings: CompetitionSettings) -> set[str]:
    """Return the ids of the test images that images.exclude excludes."""
    kept, excluded = _split(settings.data, settings.images.test, settings.images)
    return _ids(settings.data, excluded, settings.images) - _ids(
        settings.data, kept, settings.images
    )


def _ids(data: Path, paths: Sequence[Path], settings: ImageFiles) -> set[str]:
    return {image_id_of(data, path, settings.id_pattern) for path in paths}


@dataclass(frozen=True)
class _SplitImages:
    """The images of one split."""

    images: pd.DataFrame
    """Columns image_id, split and path."""
    excluded: list[str]
    """Ids whose images are all excluded by images.exclude."""


def _images_of_split(
    data: Path, split: str, globs: Sequence[str], settings: ImageFiles, report: DataReport
) -> _SplitImages:
    paths, left_out = _split(data, globs, settings)
    excluded = [image_id_of(data, path, settings.id_pattern) for path in left_out]
    report.notices += count_ids(
        excluded,
        f"{split} image is",
        f"{split} images are",
        "left out (competition.images.exclude)",
    )
    files: dict[str, list[str]] = {}
    for path in paths:
        image_id = image_id_of(data, path, settings.id_pattern)
        files.setdefault(image_id, []).append(path_in(data, path))
    report.problems += [
        f"{split} image {image_id} has {len(same)} files: {', '.join(same)}"
        for image_id, same in files.items()
        if len(same) > 1
    ]
    if settings.id_pattern is not None:
        report.problems += [
            f"{path_in(data, path)} does not match competition.images.id_pattern "
            f"({settings.id_pattern})"
            for path in paths
            if not re.search(settings.id_pattern, path_in(data, path))
        ]
    if not paths and globs:
        report.notices.append(f"no {split} images match {' or '.join(globs)}")
    elif not paths:
        report.notices.append(f"competition.images.{split} is empty, so there are no such images")
    first = {
        "image_id": list(files),
        "split": [split] * len(files),
        "path": [same[0] for same in files.values()],
    }
    lost = [image_id for image_id in excluded if image_id not in files]
    return _SplitImages(pd.DataFrame(first, dtype=str), lost)


def _split(data: Path, globs: Sequence[str], settings: ImageFiles) -> tuple[list[Path], list[Path]]:
    """Return the images that are kept and those that are excluded."""
    everything = find_images(data, globs)
    excluded = find_excluded(data, everything, settings.exclude, settings.id_pattern)
    gone = set(excluded)
    return [path for path in everything if path not in gone], excluded


def _note_idle_excludes(data: Path, settings: ImageFiles, report: DataReport) -> None:
    """Add a notice about entries of images.exclude that match no image; they may be misspelled."""
    if not settings.exclude:
        return
    paths = find_images(data, [*settings.train, *settings.test])
    idle = [
        entry
        for entry in settings.exclude
        if not find_excluded(data, paths, [entry], settings.id_pattern)
    ]
    report.notices += count_ids(
        idle, "entry", "entries", "of competition.images.exclude matching no image"
    )


def _note_ids_of_both(train: pd.DataFrame, test: pd.DataFrame, report: DataReport) -> None:
    both = test.loc[test["image_id"].isin(train["image_id"]), "image_id"]
    report.notices += count_ids(
        both, "id belongs", "ids belong", "to both a training and a test image"
    )


def _add_headers(
    images: pd.DataFrame,
    data: Path,
    settings: CompetitionSettings,
    workers: int,
    progress: Progress,
    report: DataReport,
) -> pd.DataFrame:
    """Return the images with readable headers, with size and metadata."""
    headers = read_headers([data / path for path in images["path"]], workers, progress, data)
    report.problems += [str(header) for header in headers if isinstance(header, ImageError)]
    good = [place for place, header in enumerate(headers) if isinstance(header, ImageHeader)]
    read = [header for header in headers if isinstance(header, ImageHeader)]
    images = images.iloc[good].reset_index(drop=True)
    images["height"] = pd.Series([header.height for header in read], dtype="int64")
    images["width"] = pd.Series([header.width for header in read], dtype="int64")
    if settings.images.metadata == "dicom":
        for name in (*METADATA, *_sequence_facts(settings)):
            images[name] = pd.Series([header.facts.get(name, "") for header in read], dtype=str)
    images = add_header_groups(images, [header.facts for header in read], settings)
    several = [header.facts.get("frames", "") not in ("", "0", "1") for header in read]
    report.notices += count_ids(
        images.loc[several, "image_id"],
        "image has",
        "images have",
        "several frames; the middle frame is used",
    )
    if shape := settings.images.shape:
        other = images[(images["height"] != shape[0]) | (images["width"] != shape[1])]
        report.notices += count_ids(
            other["image_id"],
            "image is",
            "images are",
            f"not {shape[0]} x {shape[1]} (competition.images.shape)",
        )
    return images


def _sequence_facts(settings: CompetitionSettings) -> list[str]:
    """Return the facts of headers that images.sequence names and nothing else provides."""
    sequence = settings.images.sequence
    if sequence is None:
        return []
    others = {*METADATA, *settings.images.facts}
    others |= {name for table in settings.tables for name in table.columns}
    return [name for name in (*sequence.group, sequence.order) if name in {*FACTS} - others]
