"""The parts of a solution that a leaderboard scores: Public, Private, and rows that it ignores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.data_report import count_ids
from goldfold.errors import InputError, list_problems, plural
from goldfold.submissions.table import Table

USAGE_COLUMN = "Usage"
_USAGES = ("public", "private", "ignored")


def read_usage(
    table: Table, key_places: Sequence[int], image_of: Callable[[str], str] = str
) -> dict[str, str]:
    """Return image id -> public, private or ignored; empty without a Usage column.

    Args:
        table: the solution.
        key_places: places of its key columns.
        image_of: image id of a key.

    Raises:
        InputError: values are others, or an image has several; all are named.
    """
    place = table.column(USAGE_COLUMN)
    if place is None:
        return {}
    usage: dict[str, str] = {}
    problems = []
    for row in table.rows:
        image_id = image_of(row.key(list(key_places)))
        value = row.cells[place].strip().lower()
        if value not in _USAGES:
            problems.append(f"row {row.number}, {image_id}: found {row.cells[place]!r}")
        elif usage.setdefault(image_id, value) != value:
            problems.append(
                f"row {row.number}, {image_id}: found {row.cells[place]!r}, but "
                f"{usage[image_id]} in an earlier row"
            )
    if problems:
        title = (
            f"{table.path}: {plural(len(problems), 'bad value', 'bad values')} of {USAGE_COLUMN}:"
        )
        remedy = "Expected Public, Private or Ignored, and the same value in all rows of an image."
        raise InputError(list_problems(title, problems, remedy))
    return usage


def parts_to_score(
    image_ids: Sequence[str], usage: Mapping[str, str]
) -> dict[str, NDArray[np.bool_]]:
    """Return which images each part scores, (N,); parts without images are left out.

    `overall` is everything that is not ignored.

    Args:
        image_ids: N ids.
        usage: of `read_usage`.

    Raises:
        InputError: every image is ignored.
    """
    usages = np.array([usage.get(image_id, "") for image_id in image_ids])
    parts = {
        "overall": usages != "ignored",
        "public": usages == "public",
        "private": usages == "private",
    }
    if not parts["overall"].any():
        raise InputError("every image of the solution is marked Ignored; nothing is left to score.")
    return {name: images for name, images in parts.items() if images.any()}


def images_to_score(
    file: Path,
    solution: Path,
    submitted: Sequence[str],
    true: Sequence[str],
    *,
    only_submitted: bool,
) -> tuple[list[str], list[str]]:
    """Return the ids that are scored, in the solution's order, and warnings about the others.

    Args:
        file: the submission.
        solution: the truth.
        submitted: ids of the submission.
        true: ids of the solution.
        only_submitted: score the images of the file only, where the solution has more.

    Raises:
        InputError: the submission lacks images, or the files have none in common.
    """
    known = set(submitted)
    missing = [image_id for image_id in true if image_id not in known]
    if missing and not only_submitted:
        raise InputError(
            list_problems(
                f"{file} lacks {len(missing)} of the {len(true)} images of {solution}:",
                missing,
                "Add them, or score only the images that were submitted: --only-submitted.",
                limit=5,
            )
        )
    scored = [image_id for image_id in true if image_id in known]
    if not scored:
        raise InputError(f"{file} and {solution} have no image in common. Compare their ids.")
    extra = known - set(true)
    lines = count_ids(
        [image_id for image_id in submitted if image_id in extra],
        "id is", "ids are", f"not in {solution} and left out",
    )  # fmt: skip
    return scored, [f"{file}: {line}" for line in lines]
