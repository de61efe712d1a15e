"""From the files of a competition to one table of images and a report of what is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_text import read_csv_text
from goldfold.competitions.extra_table import add_table
from goldfold.competitions.find import (
    find_excluded,
    find_images,
    find_table,
    image_id_of,
    path_in,
    require_folder,
)
from goldfold.competitions.headers import read_headers
from goldfold.competitions.image import ImageHeader
from goldfold.competitions.image_facts import add_path_facts, add_window_share
from goldfold.competitions.images_table import CLASSES, mask_columns, training_images
from goldfold.competitions.label_join import add_labels
from goldfold.competitions.label_tables import label_targets
from goldfold.competitions.mask_files import mask_globs
from goldfold.competitions.report import DataReport, count_ids
from goldfold.errors import ImageError, plural
from goldfold.files import file_hash
from goldfold.progress import SILENT, Progress
from goldfold.settings import CompetitionSettings, ImageFiles

__all__ = ["DataReport", "collect_images", "excluded_test_ids", "inputs_of"]

METADATA = ("patient", "sex", "age", "view", "spacing_mm", "transfer_syntax", "photometric")
_ENOUGH = 50  # images among which some of one patient are to be expected


def inputs_of(settings: CompetitionSettings) -> dict[str, object]:
    """Return what images.csv is made from: settings, files with size and time, table hashes.

    The place of the data folder is left out: a folder that moved is the same folder.

    Raises:
        InputError: the data folder is missing.
    """
    data = require_folder(settings.data)
    masks = mask_globs([*settings.labels.masks, *settings.labels.class_masks.values()])
    images = find_images(data, [*settings.images.train, *settings.images.test, *masks])
    tables = [
        find_table(data, settings.labels.files),
        find_table(data, settings.submission.sample),
        *(find_table(data, [extra.file]) for extra in settings.tables),
    ]
    stats = [(path, path.stat()) for path in images]
    return {
        "competition": settings.model_dump(mode="json", exclude={"data", "title"}),
        "images": [[path_in(data, p), s.st_size, s.st_mtime_ns] for p, s in stats],
        "tables": [[table.name, file_hash(table)] if table else None for table in tables],
    }


def collect_images(
    settings: CompetitionSettings, *, workers: int = 1, progress: Progress = SILENT
) -> tuple[pd.DataFrame, DataReport]:
    """Return the table of images (columns of images.csv) and the report.

    All problems are collected; the table holds what could be read.

    Raises:
        InputError: the data folder is missing, or a table is missing or unreadable.
    """
    data = require_folder(settings.data)
    report = DataReport()
    found = [
        _found(data, split, globs, settings.images, report)
        for split, globs in (("train", settings.images.train), ("test", settings.images.test))
    ]
    _note_idle_excludes(data, settings.images, report)
    _note_ids_of_both(found[0].images, found[1].images, report)
    everything = pd.concat([one.images for one in found], ignore_index=True)
    images = _add_headers(everything, data, settings, workers, progress, report)
    images = add_path_facts(images, settings.images.facts, report)
    images = add_window_share(images, data, settings.images, workers, progress, report)
    left_out = {*everything["image_id"], *found[0].excluded, *found[1].excluded}
    left_out -= set(images["image_id"])
    images = add_labels(
        images, left_out, data, settings, report, workers=workers, progress=progress
    )
    for extra in settings.tables:
        images = add_table(images, data, extra, report)
    _compare_with_sample(images, found[1].excluded, data, settings, report)
    _count(images, settings, report)
    _note_hidden_patients(training_images(images), report)
    _note_patients_of_both(images, report)
    return images, report


def excluded_test_ids(settings: CompetitionSettings) -> set[str]:
    """Return the ids of the test images that images.exclude leaves out."""
    kept, excluded = _split(settings.data, settings.images.test, settings.images)
    return _ids(settings.data, excluded, settings.images) - _ids(
        settings.data, kept, settings.images
    )


def _ids(data: Path, paths: Sequence[Path], settings: ImageFiles) -> set[str]:
    return {image_id_of(data, path, settings.id_pattern) for path in paths}


@dataclass(frozen=True)
class _Found:
    """The images of a split."""

    images: pd.DataFrame
    """Columns image_id, split and path."""
    excluded: list[str]
    """Ids that images.exclude leaves without an image."""


def _found(
    data: Path, split: str, globs: Sequence[str], settings: ImageFiles, report: DataReport
) -> _Found:
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
            f"{path_in(data, path)} does not fit competition.images.id_pattern "
            f"({settings.id_pattern})"
            for path in paths
            if not re.search(settings.id_pattern, path_in(data, path))
        ]
    if not paths and globs:
        report.notices.append(f"no {split} images match {' or '.join(globs)}")
    elif not paths:
        report.notices.append(f"competition.images.{split} names no files, so there are none")
    first = {
        "image_id": list(files),
        "split": [split] * len(files),
        "path": [same[0] for same in files.values()],
    }
    lost = [image_id for image_id in excluded if image_id not in files]
    return _Found(pd.DataFrame(first, dtype=str), lost)


def _split(data: Path, globs: Sequence[str], settings: ImageFiles) -> tuple[list[Path], list[Path]]:
    """Return the images that stay and those that are left out."""
    everything = find_images(data, globs)
    excluded = find_excluded(data, everything, settings.exclude, settings.id_pattern)
    gone = set(excluded)
    return [path for path in everything if path not in gone], excluded


def _note_idle_excludes(data: Path, settings: ImageFiles, report: DataReport) -> None:
    """Say so where an entry of images.exclude fits no image: it is misspelled, perhaps."""
    if not settings.exclude:
        return
    paths = find_images(data, [*settings.train, *settings.test])
    idle = [
        entry
        for entry in settings.exclude
        if not find_excluded(data, paths, [entry], settings.id_pattern)
    ]
    report.notices += count_ids(
        idle, "entry", "entries", "of competition.images.exclude without an image"
    )


def _note_ids_of_both(train: pd.DataFrame, test: pd.DataFrame, report: DataReport) -> None:
    both = test.loc[test["image_id"].isin(train["image_id"]), "image_id"]
    report.notices += count_ids(both, "id is", "ids are", "of a training and of a test image")


def _add_headers(
    images: pd.DataFrame,
    data: Path,
    settings: CompetitionSettings,
    workers: int,
    progress: Progress,
    report: DataReport,
) -> pd.DataFrame:
    """Return the images whose header can be read, with size and metadata."""
    headers = read_headers([data / path for path in images["path"]], workers, progress, data)
    report.problems += [str(header) for header in headers if isinstance(header, ImageError)]
    good = [place for place, header in enumerate(headers) if isinstance(header, ImageHeader)]
    read = [header for header in headers if isinstance(header, ImageHeader)]
    images = images.iloc[good].reset_index(drop=True)
    images["height"] = pd.Series([header.height for header in read], dtype="int64")
    images["width"] = pd.Series([header.width for header in read], dtype="int64")
    if settings.images.metadata == "dicom":
        for name in METADATA:
            images[name] = pd.Series([header.facts.get(name, "") for header in read], dtype=str)
    several = [header.facts.get("frames", "") not in ("", "0", "1") for header in read]
    report.notices += count_ids(
        images.loc[several, "image_id"],
        "image has",
        "images have",
        "several frames; the one in the middle is taken",
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


def _compare_with_sample(
    images: pd.DataFrame,
    excluded: Sequence[str],
    data: Path,
    settings: CompetitionSettings,
    report: DataReport,
) -> None:
    path = find_table(data, settings.submission.sample)
    if path is None:
        looked = " or ".join(settings.submission.sample) or "none is named"
        plain = settings.is_classification and not settings.submission.sample
        if settings.images.test and not plain:
            report.notices.append(f"no sample submission ({looked}): `submit write` will need one")
        return
    column = settings.submission.id_column
    ids = read_csv_text(path, [column])[column].str.strip()
    if (joint := settings.submission.class_separator) and settings.submission.class_column is None:
        ids = ids.drop_duplicates().str.rsplit(joint, n=1).str[0].drop_duplicates()
    unique = ids.drop_duplicates()
    report.facts["sample ids"] = len(unique)
    several = settings.submission.class_column is not None or settings.submission.objects
    if len(unique) < len(ids) and not several:
        repeats = len(ids) - len(unique)
        report.notices.append(
            f"{plural(repeats, 'row', 'rows')} of {path.name} "
            f"{'repeats' if repeats == 1 else 'repeat'} an id"
        )
    tests = images.loc[images["split"] == "test", "image_id"]
    report.notices += count_ids(
        unique[unique.isin(excluded)],
        "id of",
        "ids of",
        f"{path.name} left out, so submitted as an empty mask (competition.images.exclude)",
    )
    unique = unique[~unique.isin(excluded)]
    if len(tests):
        report.problems += count_ids(
            unique[~unique.isin(tests)], "id of", "ids of", f"{path.name} without a test image"
        )
        report.notices += count_ids(
            tests[~tests.isin(unique)], "test image is", "test images are", f"not in {path.name}"
        )


def _count(images: pd.DataFrame, settings: CompetitionSettings, report: DataReport) -> None:
    train = training_images(images)
    report.facts["training images"] = len(train)
    report.notices += _unpaired(settings)
    if settings.is_classification:
        targets = label_targets(train[CLASSES].tolist(), settings.classes)
        for name, count in zip(settings.classes, targets.sum(axis=0).tolist(), strict=True):
            report.facts[f"of class {name}"] = count
            if not count or count == len(train):
                how = "no" if not count else "every"
                lines = report.problems if settings.exclusive else report.notices
                lines.append(f"{how} training image is of class {name}")
    else:
        report.facts["non-empty masks"] = int((train["area_px"] > 0).sum())
        for name in settings.mask_classes:
            report.facts[f"of class {name}"] = int((train[mask_columns(name)[1]] > 0).sum())
    report.facts["test images"] = int((images["split"] == "test").sum())
    if "patient" in train.columns:
        report.facts["patients"] = len(set(train["patient"]) - {""})
    if train.empty:
        report.problems.append("there is no labelled training image")


def _unpaired(settings: CompetitionSettings) -> list[str]:
    """Return a line for each pair of masks that a mirror exchanges and settings do not know of."""
    known = {frozenset(pair) for pair in settings.mirrored}
    pairs = [
        (name, name.replace("left", "right")) for name in settings.mask_classes if "left" in name
    ]
    return [
        f"classes {one} and {two} trade places in a mirror, which augmentation and views use: set "
        f'competition.mirrored = [["{one}", "{two}"]]'
        for one, two in pairs
        if two in settings.mask_classes and frozenset((one, two)) not in known
    ]


def _note_patients_of_both(images: pd.DataFrame, report: DataReport) -> None:
    """Say so where test images are of patients that are trained on: the test is then too kind."""
    if "patient" not in images.columns:
        return
    test, train = images["split"] == "test", images["split"] == "train"
    known = set(images.loc[train, "patient"]) - {""}
    both = images.loc[test & images["patient"].isin(known)]
    if len(both):
        people = plural(both["patient"].nunique(), "patient", "patients")
        report.notices.append(
            f"{plural(len(both), 'test image is', 'test images are')} of {people} with training "
            "images, if their ids mean the same; scores on them are too kind"
        )


def _note_hidden_patients(train: pd.DataFrame, report: DataReport) -> None:
    """Say so where no two of many images are of one patient: that is hardly ever the truth."""
    if "patient" not in train.columns or len(train) <= _ENOUGH:
        return
    known = train.loc[train["patient"] != "", "patient"]
    if known.empty:
        what = "no training image has a patient id"
    elif known.is_unique:
        what = f"each of the {len(known):,} training images with a patient id has one of its own"
    else:
        return
    report.notices.append(
        f"{what}: patient ids may be hidden, so leakage between images of one patient cannot "
        "be seen"
    )
