"""What is said of whole label tables: their form, and labels without any contrast."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from goldfold.competitions.class_labels import label_targets
from goldfold.competitions.csv_text import csv_notes
from goldfold.competitions.data_folder import find_tables, path_in
from goldfold.competitions.data_report import DataReport, count_ids
from goldfold.competitions.images_table import CLASSES, NUMBER, OBJECTS, mask_columns
from goldfold.competitions.rle_labels import REPEATED, Labels
from goldfold.errors import first_few, plural
from goldfold.settings import CompetitionSettings

_DECLARE = (
    "Is the right column, table or folder set? If so, set allow_constant = true in "
    "[competition.labels] of goldfold.toml"
)


def note_tables(data: Path, settings: CompetitionSettings, report: DataReport) -> None:
    """Say what is unusual about the tables that are read: separator, encoding, short rows.

    Raises:
        InputError: a table is unreadable.
    """
    labels = settings.labels
    used = [] if labels.masks or labels.class_masks or labels.kind == "folders" else [labels.files]
    used += [settings.submission.sample, *([extra.file] for extra in settings.tables)]
    read: list[Path] = []
    for names in used:
        paths = find_tables(data, names)
        if len(paths) > 1:
            others = first_few([path_in(data, path) for path in paths[1:]])
            report.notices.append(
                f"{' or '.join(names)} matches {len(paths):,} tables; {path_in(data, paths[0])} is "
                f"read, not {others}"
            )
        read += paths[:1]
    for path in dict.fromkeys(read):
        report.notices += csv_notes(path)


def note_constant_labels(
    train: pd.DataFrame, settings: CompetitionSettings, report: DataReport
) -> None:
    """Report labels from which nothing can be learnt: all masks empty, one class, one number.

    Args:
        train: labelled training images.
        settings: settings of the competition; `labels.allow_constant` makes notices of problems.
        report: receives problems and notices.
    """
    if train.empty:
        return
    lines = report.notices if settings.labels.allow_constant else report.problems
    if settings.image_classes:
        _note_classes(train, settings, report)
    elif settings.number_range is not None:
        if train[NUMBER].astype(float).nunique() == 1:
            number = float(train[NUMBER].iloc[0])
            lines.append(f"every training image has the number {number:g}. {_DECLARE}")
    elif not (train["area_px"] > 0).any():
        lines.append(f"all masks of the {len(train):,} training images are empty. {_DECLARE}")
    else:
        areas = {name: train[mask_columns(name)[1]] for name in settings.mask_classes}
        if empty := [name for name, area in areas.items() if not (area > 0).any()]:
            report.notices.append(f"no training image has a mask of class {first_few(empty)}")


def _note_classes(train: pd.DataFrame, settings: CompetitionSettings, report: DataReport) -> None:
    """Report classes that no, every or a single image has."""
    targets = label_targets(train[CLASSES].tolist(), settings.image_classes)
    counts = dict(zip(settings.image_classes, targets.sum(axis=0).tolist(), strict=True))
    fixed = {name: count for name, count in counts.items() if count in (0, len(train))}
    serious = settings.exclusive or len(fixed) == len(counts)
    lines = report.problems
    if settings.labels.allow_constant or not serious:
        lines = report.notices
    for name, count in fixed.items():
        how = "every" if count else "no"
        declare = f". {_DECLARE}" if lines is report.problems else ""
        lines.append(f"{how} training image has the class {name}{declare}")
    single = [name for name, count in counts.items() if count == 1 and len(train) > 1]
    if single:
        report.notices.append(
            f"{plural(len(single), 'class has', 'classes have')} one training image only: "
            f"{first_few(single)}. The fold with it is judged by networks that never saw the class"
        )


def note_rows(labels: Labels, report: DataReport) -> None:
    """Count the rows of a label table; say which images have several, and which of them overlap."""
    table = labels.table
    report.facts["label rows"] = int(table["rows"].sum())
    report.facts["label ids"] = len(table)
    if OBJECTS in table.columns:
        _note_objects(table, report)
        return
    several, overlapping = int((table["rows"] > 1).sum()), table["overlap_px"] > 0
    if CLASSES in table.columns:
        report.notices += count_ids(
            table.loc[overlapping, "image_id"],
            "image has", "images have", "rows of one class that overlap; they are merged",
        )  # fmt: skip
    elif several:
        named = count_ids(
            table.loc[overlapping, "image_id"], "of them", "of them", "the rows overlap"
        )
        report.notices.append(
            f"{plural(several, 'image has', 'images have')} several label rows; they are merged "
            f"(in {named[0] if named else '0 of them the rows overlap'})"
        )


def _note_objects(table: pd.DataFrame, report: DataReport) -> None:
    repeated = int(table[REPEATED].sum())
    if repeated:
        images = plural(int((table[REPEATED] > 0).sum()), "image", "images")
        report.notices.append(
            f"{plural(repeated, 'label row repeats', 'label rows repeat')} an object of the same "
            f"image; each counts once (in {images})"
        )
    report.notices += count_ids(
        table.loc[table["overlap_px"] > 0, "image_id"],
        "image has", "images have", "overlapping label rows; each remains an object",
    )  # fmt: skip
