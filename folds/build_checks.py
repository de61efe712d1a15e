"""What the rows of a fold table must be, and what whole groups can fill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goldfold.errors import InputError, first_few, list_problems, plural

IntArray = NDArray[np.int64]

FEWEST_FOLDS, MOST_FOLDS = 2, 20
MOST_BINS = 20


def check_rows(
    image_ids: Sequence[str], groups: Sequence[str], area_px: ArrayLike, count: int, bins: int
) -> IntArray:
    """Return the areas as whole numbers, or raise one error that lists everything wrong."""
    areas = np.asarray(area_px)
    problems = [*_number_problems(count, bins), *_row_problems(image_ids, groups, areas)]
    if problems:
        raise InputError(list_problems("cannot build folds:", problems))
    whole_areas: IntArray = areas.astype(np.int64)
    return whole_areas


def _number_problems(count: int, bins: int) -> list[str]:
    problems = []
    if not FEWEST_FOLDS <= count <= MOST_FOLDS:
        problems.append(
            f"the number of folds must be {FEWEST_FOLDS} to {MOST_FOLDS}, found {count}; "
            "set the folds' `count`"
        )
    if not 1 <= bins <= MOST_BINS:
        problems.append(
            f"the number of area quantiles must be 1 to {MOST_BINS}, found {bins}; "
            "set the folds' `area_bins`"
        )
    return problems


def _row_problems(
    image_ids: Sequence[str], groups: Sequence[str], areas: NDArray[Any]
) -> list[str]:
    if len(image_ids) == 0:
        return ["expected at least one labelled image, found none; run `goldfold check`"]
    if areas.shape != (len(image_ids),) or len(groups) != len(image_ids):
        return [
            "expected one group and one area per image, found "
            f"{len(image_ids)} images, {len(groups)} groups and areas of shape {areas.shape}"
        ]
    problems = [
        f"expected {what} as text, found {value!r} (a {type(value).__name__}) in row {row}"
        for what, values in (("image ids", image_ids), ("groups", groups))
        for row, value in enumerate(values)
        if not isinstance(value, str)
    ]
    twice = [image_id for image_id, rows in Counter(image_ids).items() if rows > 1]
    if twice:
        problems.append(
            f"expected one row per image, found {len(twice)} ids more than once: "
            f"{first_few([str(name) for name in twice])}; merge their rows"
        )
    if not np.issubdtype(areas.dtype, np.number) or not np.all(np.isfinite(areas)):
        problems.append("expected areas in pixels, found values that are not finite numbers")
    elif np.any(areas < 0):
        bad = [image_ids[row] for row in np.flatnonzero(areas < 0).tolist()]
        problems.append(f"expected areas of 0 or more, found {len(bad)} below 0: {first_few(bad)}")
    return problems


def check_possible(counts: IntArray, folds: int, what: str) -> None:
    """Raise an error if there are fewer groups, or groups with `what`, than folds."""
    groups, with_mask = len(counts), int((counts[:, 1] > 0).sum())
    images, non_empty = (int(total) for total in counts[:, :2].sum(axis=0))
    if groups < folds:
        raise InputError(
            f"{folds} folds need at least {folds} groups, found {groups} in "
            f"{plural(images, 'image', 'images')}. " + _way_out(groups, images)
        )
    if 0 < with_mask < folds:
        raise InputError(
            f"{folds} folds need at least {folds} groups with {what}, so that each fold "
            f"can be scored; found {with_mask} among {groups} groups "
            f"({non_empty} of {images} images). " + _way_out(with_mask, non_empty)
        )


def _way_out(largest: int, ungrouped: int) -> str:
    fewer = f"Set the folds' `count` to {largest} or less" if largest >= FEWEST_FOLDS else ""
    loose = "if the images are independent of each other, set their `group` to none"
    if ungrouped <= max(largest, FEWEST_FOLDS - 1):
        return f"{fewer}." if fewer else "Add images: there are too few to split."
    return f"{fewer}, or {loose}." if fewer else f"Add images, or {loose}."
