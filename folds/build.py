"""The fold table of a run, from image ids, patients and mask areas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from goldfold.errors import InputError, first_few, list_problems
from goldfold.folds.labels import ENOUGH, LabelCounts, count_labels
from goldfold.folds.split import balance_weights, group_order, split_groups
from goldfold.folds.spread import spread_groups
from goldfold.folds.strata import (
    NO_CLASS,
    RARE,
    area_strata,
    class_strata,
    stratum_names,
    usable_bins,
)

IntArray = NDArray[np.int64]

FEWEST_FOLDS, MOST_FOLDS = 2, 20
MOST_BINS = 20
COLUMNS = ["image_id", "fold", "group", "stratum", "area_px"]


def build_fold_table(
    image_ids: Sequence[str],
    groups: Sequence[str],
    area_px: ArrayLike,
    *,
    count: int,
    seed: int = 0,
    area_bins: int = 4,
    classes: Sequence[str] | None = None,
    labels: Mapping[str, ArrayLike] | None = None,
) -> pd.DataFrame:
    """Return the fold table, one row per image, sorted by image_id.

    Groups stay whole; images, non-empty masks and each quantile of the mask area are spread evenly.
    With `classes`, the classes are spread evenly instead of the quantiles, and every fold gets
    images of each class (except the most frequent one) that has at least as many images as there
    are folds. With `labels`, of which an image may have several, the count of each label is spread
    evenly (`goldfold.folds.spread`). The table depends on the set of rows and the seed, never on
    the order of the rows.

    Columns: image_id (str), fold (int, from 0), group (str; an image without a group is its own
    group, named after its id), stratum (`empty`, `area-1` ... from small to large, the class, or
    the labels joined by `;`), area_px (int).

    Args:
        image_ids: (N,) unique ids.
        groups: (N,) patient or other group of each image; "" = the image is its own group.
        area_px: (N,) area of the mask in pixels, 0 = empty.
        count: number of folds, 2 to 20.
        seed: any whole number; decides between equally good splits.
        area_bins: number of quantiles of the area, 1 to 20; fewer are used if there are too few
            images to put one of each quantile into every fold.
        classes: (N,) class or combination of classes of each image, spread evenly instead of the
            areas; rare ones are treated as one, except where one of them has 100 images: then each
            class is spread as a label.
        labels: label -> (N,) bool, or (N,) areas of its mask in pixels, of which the quantiles are
            spread, too; instead of the classes.

    Raises:
        InputError: the table is empty or inconsistent, or cannot be split so that groups stay
            whole and every fold has non-empty masks.
    """
    areas = _check(image_ids, groups, area_px, count, area_bins)
    table = pd.DataFrame({"image_id": list(image_ids), "group": _named(image_ids, groups)})
    table["area_px"] = areas
    order = np.argsort(table["image_id"].to_numpy(dtype=object), kind="stable")
    table = table.iloc[order].reset_index(drop=True)
    in_order = None if classes is None else [classes[place] for place in order]
    if labels is None and in_order is not None and _merges_frequent(in_order, count):
        labels = {
            name or NO_CLASS: np.array([own == name for own in classes or ()])
            for name in sorted(set(in_order))
        }
    if labels is not None:
        counted = count_labels(labels, len(order), count, area_bins)
        return _spread_labels(table, counted, order, count, seed)
    return _spread_strata(table, in_order, count, seed, area_bins)


def describe_folds(
    image_ids: Sequence[str],
    groups: Sequence[str],
    area_px: ArrayLike,
    fold: ArrayLike,
    *,
    area_bins: int = 4,
    classes: Sequence[str] | None = None,
    labels: Mapping[str, ArrayLike] | None = None,
) -> pd.DataFrame:
    """Return the table of `build_fold_table` for folds that are known.

    Args:
        image_ids: (N,) unique ids.
        groups: (N,) group of each image; "" = the image is its own group.
        area_px: (N,) area of the mask in pixels, 0 = empty.
        fold: (N,) fold of each image, from 0.
        area_bins: number of quantiles of the area that name the strata.
        classes: (N,) class of each image, which names its stratum instead.
        labels: label -> (N,) whether an image has it, or its area; they name the strata instead.

    Raises:
        InputError: the table is empty or inconsistent.
    """
    numbers = np.asarray(fold, np.int64)
    count = int(np.clip(np.unique(numbers).size, FEWEST_FOLDS, MOST_FOLDS))
    areas = _check(image_ids, groups, area_px, count, area_bins)
    if labels is not None:
        strata = count_labels(labels, len(areas), count, area_bins).strata
    elif classes is not None:
        strata = [name or NO_CLASS for name in classes]
    else:
        bins = usable_bins(int((areas > 0).sum()), count, area_bins)
        strata = stratum_names(area_strata(areas, bins))
    table = pd.DataFrame({"image_id": list(image_ids), "fold": numbers})
    table = table.assign(group=_named(image_ids, groups), stratum=strata, area_px=areas)
    return table.sort_values("image_id", ignore_index=True)[COLUMNS]


def _merges_frequent(classes: Sequence[str], count: int) -> bool:
    """Return whether a class of many images would be treated as one with others."""
    _, names = class_strata(classes, count)
    images = Counter(own for own, name in zip(classes, names, strict=True) if name == RARE)
    return any(number >= ENOUGH for number in images.values())


def _spread_labels(
    table: pd.DataFrame, labels: LabelCounts, order: IntArray, count: int, seed: int
) -> pd.DataFrame:
    """Return the table with folds in which each label is spread evenly.

    Args:
        table: image_id, group and area_px, in order of the ids.
        labels: counts of each image, in the order that was given.
        order: (N,) place of each row of the table in what was given.
        count: number of folds.
        seed: of the split.
    """
    keys, group_of = np.unique(table["group"].to_numpy(dtype=np.str_), return_inverse=True)
    counts = np.zeros((len(keys), labels.counts.shape[1]), np.int64)
    np.add.at(counts, group_of, labels.counts[order])
    _check_possible(counts, count, "an image that has a label")
    by_seed = group_order(keys.tolist(), seed)
    numbers = group_order([f"fold {number}" for number in range(count)], seed)
    fold_of_group = np.empty(len(keys), dtype=np.int64)
    fold_of_group[by_seed] = numbers[spread_groups(counts[by_seed], count, labels.shares)]
    table["fold"] = fold_of_group[group_of]
    table["stratum"] = [labels.strata[place] for place in order]
    return table[COLUMNS]


def _spread_strata(
    table: pd.DataFrame, classes: Sequence[str] | None, count: int, seed: int, area_bins: int
) -> pd.DataFrame:
    """Return the table with folds in which each stratum is spread evenly.

    Args:
        table: image_id, group and area_px, in order of the ids.
        classes: (N,) class of each image in that order; None for strata of areas.
        count: number of folds.
        seed: of the split.
        area_bins: number of area quantiles.
    """
    areas = table["area_px"].to_numpy(dtype=np.int64)
    if classes is None:
        strata = area_strata(areas, usable_bins(int((areas > 0).sum()), count, area_bins))
        table["stratum"] = stratum_names(strata)
    else:
        strata, table["stratum"] = class_strata(classes, count)

    keys, group_of = np.unique(table["group"].to_numpy(dtype=np.str_), return_inverse=True)
    counts = _group_counts(group_of, len(keys), strata)
    what = "a non-empty mask" if classes is None else "an image of a rarer class"
    _check_possible(counts, count, what)
    order = group_order(keys.tolist(), seed)
    # Folds are numbered at random: otherwise fold 0 would always hold the heaviest group.
    numbers = group_order([f"fold {number}" for number in range(count)], seed)
    fold_of_group = np.empty(len(keys), dtype=np.int64)
    required = 1 if counts[:, 1].any() else 0
    fold_of_group[order] = numbers[split_groups(counts[order], _weights(counts), count, required)]
    table["fold"] = fold_of_group[group_of]
    return table[COLUMNS]


def _named(image_ids: Sequence[str], groups: Sequence[str]) -> list[str]:
    return [group or image_id for image_id, group in zip(image_ids, groups, strict=True)]


def _group_counts(group_of: IntArray, groups: int, strata: IntArray) -> IntArray:
    """Return (G, 2 + S): images, non-empty images, and images of each non-empty stratum."""
    by_stratum = np.zeros((groups, int(strata.max()) + 1), dtype=np.int64)
    np.add.at(by_stratum, (group_of, strata), 1)
    images, non_empty = by_stratum.sum(axis=1), by_stratum[:, 1:].sum(axis=1)
    return np.column_stack([images, non_empty, by_stratum[:, 1:]])


def _weights(counts: IntArray) -> IntArray:
    """Return the weight of each count; the strata together weigh as much as the images."""
    strata = counts.shape[1] - 2
    return balance_weights(counts.sum(axis=0), np.array([1, 1] + [strata] * strata, dtype=np.int64))


def _check(
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


def _check_possible(counts: IntArray, folds: int, what: str) -> None:
    """Raise an error if there are fewer groups, or groups with `what`, than folds."""
    groups, with_mask = len(counts), int((counts[:, 1] > 0).sum())
    images, non_empty = (int(total) for total in counts[:, :2].sum(axis=0))
    if groups < folds:
        raise InputError(
            f"{folds} folds need at least {folds} groups, found {groups} in {images} images. "
            + _way_out(groups, images)
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
