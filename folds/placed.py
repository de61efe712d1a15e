"""Folds that are not searched for: one per value of a column, in order of a column, or given."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError, first_few, list_problems, plural
from goldfold.folds.finding import natural

IntArray = NDArray[np.int64]

MOST_VALUES = 50
"""Most folds of leave-one-out: each is a training of its own."""
_MONTH = re.compile(r"\d{4}-\d{2}")


def leave_one_out(
    image_ids: Sequence[str], groups: Sequence[str], values: Sequence[str], column: str
) -> IntArray:
    """Return the fold of each image, (N,): images with equal values of a column share a fold.

    Folds are numbered in the order of the values, numbers before texts.

    Args:
        image_ids: (N,) ids.
        groups: (N,) group of each image, which must have one value; "" = a group of its own.
        values: (N,) value of each image, e.g. the hospital.
        column: name of the column, for messages.

    Raises:
        InputError: an image has no value, a group has several, there are fewer than 2 or more than
            50 values.
    """
    _refuse_missing(image_ids, values, column)
    numbers = {value: number for number, value in enumerate(sorted(set(values), key=natural))}
    if not 2 <= len(numbers) <= MOST_VALUES:
        shown = first_few(sorted(numbers, key=natural))
        raise InputError(
            f'folds.kind = "leave-one-out" makes a fold of each value of column {column!r}, which '
            f"has {plural(len(numbers), 'value', 'values')} ({shown}); there must be 2 to "
            f"{MOST_VALUES}. Name a coarser column with folds.column, such as the site, or set "
            'folds.kind = "balanced", which keeps the values of folds.group together.'
        )
    fold = np.array([numbers[value] for value in values], np.int64)
    refuse_split_groups(groups, fold, f"several values of column {column!r}, which are folds")
    return fold


def ordered_folds(
    image_ids: Sequence[str],
    groups: Sequence[str],
    values: Sequence[str],
    column: str,
    count: int,
) -> IntArray:
    """Return the fold of each image, (N,), rising with the values of a column: 0 is the earliest.

    Folds have about as many images each. Groups stay whole: all images of a group are placed by its
    latest one, so no image of a lower fold is later than a boundary between folds. Images with
    equal values share a fold unless their groups differ in that.

    Args:
        image_ids: (N,) ids.
        groups: (N,) group of each image; "" = a group of its own.
        values: (N,) numbers, or dates such as 2021-03-31 or 2021-03-31T12:00.
        column: name of the column, for messages.
        count: number of folds, 2 or more.

    Raises:
        InputError: an image has no value, values are neither all numbers nor all dates, or fewer
            than `count` values differ.
    """
    _refuse_missing(image_ids, values, column)
    keys = _order_keys(values, column)
    latest: dict[str | int, float] = {}
    own = [group or place for place, group in enumerate(groups)]
    for group, key in zip(own, keys, strict=True):
        latest[group] = max(key, latest.get(group, key))
    placed_at = np.array([latest[group] for group in own])
    different, place, images = np.unique(placed_at, return_inverse=True, return_counts=True)
    if len(different) < count:
        fewer = (
            f"Set folds.count to {len(different)} or less, or name"
            if len(different) > 1
            else "Name"
        )
        raise InputError(
            f"folds.count = {count} parts in the order of column {column!r} need as many different "
            f"values (the latest of each group counts), found {len(different)}. {fewer} another "
            "column (folds.column)."
        )
    fold: IntArray = np.searchsorted(_cuts(images, count), place, side="right")
    return fold


def given_folds(
    image_ids: Sequence[str],
    groups: Sequence[str],
    fold_of: Sequence[tuple[str, str]],
    known: Mapping[str, str],
    file: str,
) -> IntArray:
    """Return the fold of each image, (N,), as a table gives it.

    Args:
        image_ids: (N,) ids of the training images.
        groups: (N,) group of each; "" = a group of its own.
        fold_of: image id and fold of each row of the table, as text.
        known: id of each further image that is known -> what it is, such as "a test image".
        file: name of the table, for messages.

    Raises:
        InputError: a training image is missing or has several folds, an id is unknown, folds are
            no numbers or fewer than 2, or a group has several folds; all are listed.
    """
    problems = []
    folds: dict[str, str] = {}
    expected = set(image_ids)
    differing = []
    for image_id, name in fold_of:
        if folds.setdefault(image_id, name) != name:
            differing.append(f"{image_id} (folds {folds[image_id]} and {name})")
    missing = [image_id for image_id in image_ids if image_id not in folds]
    other = [image_id for image_id in folds if image_id not in expected]
    unknown = [image_id for image_id in other if image_id not in known]
    unlabelled = [f"{image_id} ({known[image_id]})" for image_id in other if image_id in known]
    wrong = [
        f"{image_id} ({folds[image_id]!r})"
        for image_id in image_ids
        if image_id in folds and not re.fullmatch(r"\d{1,3}", folds[image_id])
    ]
    for what, cases in {
        f"of {len(expected):,} training images have no row": missing,
        "ids in it are no images of this run": unknown,
        "ids in it are no training images": unlabelled,
        "images have several folds": differing,
        "folds are not whole numbers of 0 or more": wrong,
    }.items():
        if cases:
            problems.append(f"{len(cases):,} {what}: {first_few(cases)}")
    if not problems and len(set(folds.values())) < 2:
        problems.append(f"all images are in fold {next(iter(folds.values()), '')}")
    if problems:
        raise InputError(
            list_problems(
                f"{file} (folds.file) is no table of the folds:",
                problems,
                "Name its columns with folds.id_column and folds.fold_column, or mend the table. "
                "An image that no model is to be judged on can be in a fold that folds.train does "
                "not name.",
            )
        )
    fold = np.array([int(folds[image_id]) for image_id in image_ids], np.int64)
    refuse_split_groups(groups, fold, f"several folds of {file}")
    return fold


def refuse_split_groups(groups: Sequence[str], fold: IntArray, where: str) -> None:
    """Accept folds of which each holds whole groups.

    Raises:
        InputError: a group lies in several folds; the message says how many and names some.
    """
    folds_of: dict[str, Counter[int]] = {}
    for group, own in zip(groups, fold.tolist(), strict=True):
        if group:
            folds_of.setdefault(group, Counter())[own] += 1
    split = {group: counts for group, counts in folds_of.items() if len(counts) > 1}
    if split:
        cases = [
            f"{group}: " + ", ".join(f"{counts[own]:,} in fold {own}" for own in sorted(counts))
            for group, counts in split.items()
        ]
        raise InputError(
            list_problems(
                f"{len(split):,} of {plural(len(folds_of), 'group', 'groups')} would be in "
                f"{where}, so models would be judged on groups that they were trained on:",
                cases,
                "Keep the groups of folds.group together, or name another column with folds.group "
                '("none" if the images are independent of each other).',
            )
        )


def _refuse_missing(image_ids: Sequence[str], values: Sequence[str], column: str) -> None:
    missing = [name for name, value in zip(image_ids, values, strict=True) if not value.strip()]
    if missing:
        have = "has" if len(missing) == 1 else "have"
        images = plural(len(image_ids), "training image", "training images")
        raise InputError(
            f"{len(missing):,} of {images} {have} no value in column {column!r}, which decides "
            f"their fold: {first_few(missing)}. Fill it in (competition.images.facts or "
            "[[competition.tables]]), or leave these images out (competition.images.exclude)."
        )


def _order_keys(values: Sequence[str], column: str) -> list[float]:
    """Return numbers in the order of the values."""
    for read in (_number, _seconds):
        keys = [read(value.strip()) for value in values]
        if all(key is not None for key in keys):
            return [key for key in keys if key is not None]
    wrong = [value for value in dict.fromkeys(values) if _number(value.strip()) is None]
    wrong = [value for value in wrong if _seconds(value.strip()) is None] or wrong
    raise InputError(
        f"column {column!r} orders the images (folds.column), so its values must all be numbers or "
        f"all be dates such as 2021-03-31; found {first_few([repr(value) for value in wrong])}. "
        "Write them so, or name another column."
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _seconds(text: str) -> float | None:
    """Return the seconds of a date; one without a time zone counts as UTC."""
    try:
        date = datetime.fromisoformat(f"{text}-01" if _MONTH.fullmatch(text) else text)
    except ValueError:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def _cuts(images: IntArray, count: int) -> IntArray:
    """Return the first value of each fold but the first, (count - 1,).

    Each cut is as near as possible to an even share of the images, and every fold gets a value.

    Args:
        images: (V,) images at each value, in order; V is at least `count`.
        count: number of folds.
    """
    before = np.concatenate([[0], np.cumsum(images)])
    cuts: list[int] = []
    for number in range(1, count):
        wanted = before[-1] * number / count
        lowest = cuts[-1] + 1 if cuts else 1
        highest = len(images) - (count - number)
        choices = np.arange(lowest, highest + 1)
        cuts.append(int(choices[np.argmin(np.abs(before[choices] - wanted))]))
    return np.array(cuts, np.int64)
