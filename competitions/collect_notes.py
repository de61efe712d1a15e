"""What is said of a table of images: counts, and what does not go together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_text import read_csv_text
from goldfold.competitions.find import find_table
from goldfold.competitions.images_table import CLASSES, mask_columns, training_images
from goldfold.competitions.label_tables import label_targets
from goldfold.competitions.report import DataReport, count_ids
from goldfold.errors import plural
from goldfold.settings import CompetitionSettings

_ENOUGH = 50  # images among which some of one patient are to be expected


def compare_with_sample(
    images: pd.DataFrame,
    excluded: Sequence[str],
    data: Path,
    settings: CompetitionSettings,
    report: DataReport,
) -> None:
    """Say where the sample submission and the test images differ.

    Args:
        images: all images.
        excluded: ids of test images that the settings leave out.
        data: folder of the sample.
        settings: of the competition.
        report: takes problems, notices and counts.
    """
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


def count_images(images: pd.DataFrame, settings: CompetitionSettings, report: DataReport) -> None:
    """Count images, masks, classes and patients; say so where a class has no image, or all."""
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


def note_patients_of_both(images: pd.DataFrame, report: DataReport) -> None:
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


def note_hidden_patients(train: pd.DataFrame, report: DataReport) -> None:
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
