"""Rows of a submission that are groups of images: their ids, and what is true of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from goldfold.competitions.data_report import DataReport
from goldfold.competitions.images_table import (
    CLASSES,
    FIXED,
    JOINT,
    NUMBER,
    test_images,
    training_images,
)
from goldfold.errors import InputError, did_you_mean, first_few, list_problems, plural
from goldfold.settings_rows import has_one_class

_TRUTHS = {
    "same": "whose labels must agree",
    "any": "and labelled with what any of them has",
    "mean": "and labelled with the mean of their labels",
}
"""Values of `rows.truth` -> what they say, for notices."""

if TYPE_CHECKING:
    from goldfold.settings import CompetitionSettings
    from goldfold.settings_rows import PredictionRows

_REMEDY = (
    "Complete the columns of competition.rows through competition.images.facts or "
    "competition.tables, or list these images in competition.images.exclude."
)


def row_ids(images: pd.DataFrame, rows: PredictionRows) -> list[str]:
    """Return the id of the submission's row that each image belongs to, (N,).

    Args:
        images: rows of images.csv, of one split.
        rows: which images make a row.

    Raises:
        InputError: a column does not exist, an image has no value in it, or different values give
            the same id.
    """
    own = [str(name) for name in images.columns if name not in FIXED]
    problems = [
        f"competition.rows names the column {name!r}, which images.csv does not have; further "
        f"columns: {', '.join(own) or 'none'}.{did_you_mean(name, own)}"
        for name in rows.columns
        if name not in own
    ]
    if problems:
        raise InputError(" ".join(problems))
    for name in rows.columns:
        missing = list(images.loc[images[name].str.strip() == "", "image_id"])
        if missing:
            problems.append(
                f"{plural(len(missing), 'image has', 'images have')} no value in column {name!r}: "
                f"{first_few(missing)}"
            )
    if problems:
        raise InputError(list_problems("images belong to no row of the submission:", problems,
                                       _REMEDY))  # fmt: skip
    values = list(zip(*(images[name].str.strip() for name in rows.columns), strict=True))
    ids = [rows.pattern.format(**dict(zip(rows.columns, own_values, strict=True)))
           for own_values in values]  # fmt: skip
    values_of: dict[str, set[tuple[str, ...]]] = {}
    for row_id, own_values in zip(ids, values, strict=True):
        values_of.setdefault(row_id, set()).add(own_values)
    clashes = [
        f"{row_id}: {' and '.join(' '.join(own_values) for own_values in sorted(several))}"
        for row_id, several in values_of.items()
        if len(several) > 1
    ]
    if clashes:
        raise InputError(
            list_problems(
                f'different rows have the same id (competition.rows.id = "{rows.pattern}"):',
                clashes,
                "Name every column of competition.rows.columns in it.",
            )
        )
    return ids


def join_rows(images: pd.DataFrame, form: CompetitionSettings) -> pd.DataFrame:
    """Return one row per row of the submission, in order of the ids.

    The id is in `image_id`; `images` counts its images; labels follow `rows.truth`; of the other
    columns each row has the value that its images share, "" where they differ.

    Args:
        images: rows of images.csv, of one split; of the training split those with labels.
        form: the competition, with `rows`.

    Raises:
        InputError: as `row_ids`, or images of a row differ in their labels where they must not.
    """
    assert form.rows is not None
    ids = pd.Series(row_ids(images, form.rows), index=images.index, dtype=str)
    grouped = images.groupby(ids, sort=True)
    table = pd.DataFrame({"image_id": [str(row_id) for row_id in grouped.groups]})
    for name in images.columns:
        if name not in ("image_id", CLASSES, NUMBER):
            first, different = grouped[name].first(), grouped[name].nunique()
            is_text = pd.api.types.is_string_dtype(images[name])
            shared = first.where(different <= 1, "") if is_text else first
            table[name] = shared.to_numpy()
    table["images"] = grouped.size().to_numpy()
    for name in (CLASSES, NUMBER):
        if name in images.columns:
            cells = {str(row_id): list(own) for row_id, own in grouped[name]}
            table[name] = _truths(cells, name, form)
    return table


def _truths(cells: Mapping[str, Sequence[str]], name: str, form: CompetitionSettings) -> list[str]:
    """Return what is true of each row, as a cell of images.csv.

    Args:
        cells: row -> cells of its images.
        name: `CLASSES` or `NUMBER`.
        form: the competition, with `rows`.
    """
    assert form.rows is not None
    rule = form.rows.truth
    if rule == "same":
        differing = [
            f"{row_id}: {' and '.join(value or 'none' for value in dict.fromkeys(own))}"
            for row_id, own in cells.items()
            if len(set(own)) > 1
        ]
        if differing:
            choices = '"any" or "mean"' if form.number_range is not None else '"any"'
            raise InputError(
                list_problems(
                    f"images of {len(differing):,} of {len(cells):,} rows of the submission have "
                    "different labels:",
                    differing,
                    f"Say what is true of such a row: competition.rows.truth = {choices}, or "
                    "correct the labels.",
                )
            )
        return [own[0] for own in cells.values()]
    if name == NUMBER:
        numbers = [[float(cell) for cell in own if cell] for own in cells.values()]
        chosen = [
            (sum(own) / len(own) if rule == "mean" else max(own)) if own else None
            for own in numbers
        ]
        return ["" if number is None else repr(number) for number in chosen]
    place = {label: number for number, label in enumerate(form.classes)}
    truths = []
    for own in cells.values():
        named = {label for cell in own for label in cell.split(JOINT)} - {""}
        ordered = sorted(named, key=lambda label: place.get(label, -1))
        truths.append(JOINT.join(ordered[-1:] if has_one_class(form) else ordered))
    return truths


def report_rows(images: pd.DataFrame, form: CompetitionSettings, report: DataReport) -> None:
    """Report what is wrong with the rows that are groups of images, and how many there are.

    Args:
        images: all images.
        form: the competition.
        report: receives problems, notices and counts.
    """
    if form.rows is None:
        return
    columns = " and ".join(form.rows.columns)
    for split, chosen in (("training", training_images(images)), ("test", test_images(images))):
        if chosen.empty:
            continue
        try:
            table = join_rows(chosen, form)
        except InputError as error:
            lines = " ".join(line.strip() for line in str(error).splitlines())
            report.problems.append(f"{split} images: {lines}")
            continue
        report.facts[f"{split} rows"] = len(table)
        least, most = table["images"].min(), table["images"].max()
        report.notices.append(
            f"{plural(len(table), f'{split} row', f'{split} rows')} of the submission (by "
            f"{columns}) of {_between(least, most)} each; predicted as the "
            f"{form.rows.aggregate} of their images, {_TRUTHS[form.rows.truth]}"
        )


def _between(least: int, most: int) -> str:
    """Return how many images a row has, in words."""
    return plural(most, "image", "images") if least == most else f"{least:,} to {most:,} images"


def submitted_ids(images: pd.DataFrame, form: CompetitionSettings) -> pd.Series:
    """Return the ids that a sample submission should have: of the test images, or of their rows."""
    tests = images[images["split"] == "test"]
    if form.rows is None or tests.empty:
        ids: pd.Series = tests["image_id"]
        return ids
    try:
        return pd.Series(row_ids(tests, form.rows), dtype=str).drop_duplicates()
    except InputError:  # reported by `report_rows`
        return pd.Series([], dtype=str)
