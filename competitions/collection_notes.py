"""Counts and notices about the collected images: what does not fit together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from goldfold.competitions.class_labels import label_targets
from goldfold.competitions.csv_text import read_csv_text
from goldfold.competitions.data_folder import find_table
from goldfold.competitions.data_report import DataReport, count_ids
from goldfold.competitions.guessed_rows import guess_rows
from goldfold.competitions.id_forms import FORMS, same_ids
from goldfold.competitions.images_table import CLASSES, NUMBER, mask_columns, training_images
from goldfold.competitions.prediction_rows import submitted_ids
from goldfold.errors import plural
from goldfold.settings import CompetitionSettings

_ENOUGH = 50  # with more images than this, some should be of the same patient


def compare_with_sample(
    images: pd.DataFrame,
    excluded: Sequence[str],
    data: Path,
    settings: CompetitionSettings,
    report: DataReport,
) -> None:
    """Report differences between the sample submission and the test images.

    Args:
        images: all images.
        excluded: ids of test images that the settings exclude.
        data: the data folder.
        settings: settings of the competition.
        report: receives problems, notices and counts.
    """
    path = find_table(data, settings.submission.sample)
    if path is None:
        looked = " or ".join(settings.submission.sample) or "none is named"
        if settings.images.test and settings.needs_sample:
            report.notices.append(f"no sample submission ({looked}); `submit write` will need one")
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
    tests = submitted_ids(images, settings)
    whole = settings.predicts_every_row
    end = "but its row needs a prediction" if whole else "so submitted as an empty mask"
    lines = report.problems if whole else report.notices
    lines += count_ids(
        unique[unique.isin(excluded)],
        "id of",
        "ids of",
        f"{path.name} left out (competition.images.exclude, or unreadable), {end}",
    )
    unique = unique[~unique.isin(excluded)]
    if len(tests):
        lost = unique[~unique.isin(tests)]
        what = f"{path.name} without a test image{_hint(images, lost)}"
        report.problems += [
            line + _form_of_ids(list(lost), list(tests))
            for line in count_ids(lost, "id of", "ids of", what)
        ]
        is_row = ("test row is", "test rows are")
        is_image = ("test image is", "test images are")
        words = is_row if settings.rows else is_image
        report.notices += count_ids(tests[~tests.isin(unique)], *words, f"not in {path.name}")


def _form_of_ids(ids: list[str], tests: list[str]) -> str:
    """Return what ids of the sample and of test images differ in, "" if they are others."""
    same, forms = same_ids(ids, tests)
    if not same:
        return ""
    words = " and ".join(FORMS[form].words for form in forms)
    return (
        f". {len(same):,} of them would be one if {words} did not matter; a submission needs the "
        "ids of the sample, so set images.id_pattern to give the images these ids"
    )


def _hint(images: pd.DataFrame, strange: pd.Series) -> str:
    """Return the line of settings that explains ids of a sample as groups of test images."""
    tests = images[images["split"] == "test"]
    text = tests[[name for name in tests.columns if pd.api.types.is_string_dtype(tests[name])]]
    guessed = guess_rows(text, set(strange))
    if guessed is None:
        return ""
    columns = ", ".join(f'"{name}"' for name in guessed.columns)
    return (
        f" ({guessed.evidence}: set competition.rows = {{ columns = [{columns}], "
        f'id = "{guessed.id}" }})'
    )


def count_images(images: pd.DataFrame, settings: CompetitionSettings, report: DataReport) -> None:
    """Count images, masks, classes and patients; report classes that no or every image has."""
    train = training_images(images)
    report.facts["training images"] = len(train)
    report.notices += _unpaired(settings)
    if settings.image_classes:
        targets = label_targets(train[CLASSES].tolist(), settings.image_classes)
        for name, count in zip(settings.image_classes, targets.sum(axis=0).tolist(), strict=True):
            report.facts[f"of class {name}"] = count
    elif settings.number_range is not None:
        _note_numbers(train, report)
    else:
        report.facts["non-empty masks"] = int((train["area_px"] > 0).sum())
        for name in settings.mask_classes:
            report.facts[f"of class {name}"] = int((train[mask_columns(name)[1]] > 0).sum())
    report.facts["test images"] = int((images["split"] == "test").sum())
    if "patient" in train.columns:
        report.facts["patients"] = len(set(train["patient"]) - {""})
    if train.empty:
        report.problems.append("there are no labelled training images")


def _note_numbers(train: pd.DataFrame, report: DataReport) -> None:
    """Report the range of the numbers."""
    numbers = train[NUMBER].astype(float)
    if len(train):
        low, median, high = numbers.min(), numbers.median(), numbers.max()
        report.notices.append(f"numbers from {low:g} to {high:g}, median {median:g}")


def _unpaired(settings: CompetitionSettings) -> list[str]:
    """Return a line for each left and right pair of masks that competition.mirrored lacks."""
    known = {frozenset(pair) for pair in settings.mirrored}
    pairs = [
        (name, name.replace("left", "right")) for name in settings.mask_classes if "left" in name
    ]
    return [
        f"classes {left} and {right} are swapped by horizontal flips, as in augmentation and "
        f'test-time augmentation: set competition.mirrored = [["{left}", "{right}"]]'
        for left, right in pairs
        if right in settings.mask_classes and frozenset((left, right)) not in known
    ]


def note_patients_of_both(images: pd.DataFrame, report: DataReport) -> None:
    """Add a notice if patients have both training and test images, as scores are then too high."""
    if "patient" not in images.columns:
        return
    test, train = images["split"] == "test", images["split"] == "train"
    known = set(images.loc[train, "patient"]) - {""}
    both = images.loc[test & images["patient"].isin(known)]
    if len(both):
        people = plural(both["patient"].nunique(), "patient", "patients")
        report.notices.append(
            f"{plural(len(both), 'test image is', 'test images are')} of {people} with training "
            "images, if equal ids mean the same patient; scores on them are too high"
        )


def note_hidden_patients(train: pd.DataFrame, report: DataReport) -> None:
    """Add a notice if no two of many images are of one patient, which is hardly ever true."""
    if "patient" not in train.columns or len(train) <= _ENOUGH:
        return
    known = train.loc[train["patient"] != "", "patient"]
    if known.empty:
        what = "no training image has a patient id"
    elif known.is_unique:
        what = f"each of the {len(known):,} training images with a patient id has a different one"
    else:
        return
    report.notices.append(
        f"{what}: patient ids may be anonymised, so leakage between images of one patient cannot "
        "be detected"
    )
