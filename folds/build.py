"""The fold table of a run, from image ids, patients and mask areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from goldfold.folds.build_checks import FEWEST_FOLDS, MOST_FOLDS, check_possible, check_rows
from goldfold.folds.labels import ENOUGH, LabelCounts, count_labels
from goldfold.folds.split import balance_weights, group_order, split_groups
from goldfold.folds.spread import spread_groups
from goldfold.folds.strata import (
    NO_CLASS,
    area_strata,
    class_strata,
    stratum_names,
    usable_bins,
)

IntArray = NDArray[np.int64]

TOLERATED = 0.03
"""A class is even if no fold's share of it is off by more than this fraction."""
EVEN = (0, TOLERATED)
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
            areas; rare ones are treated as one. If a fold is then without a class that it could
            have, or a class of 100 images is off by more than 3 %, each class is spread as a label
            where that is more even.
        labels: label -> (N,) bool, or (N,) areas of its mask in pixels, of which the quantiles are
            spread, too; instead of the classes.

    Raises:
        InputError: the table is empty or inconsistent, or cannot be split so that groups stay
            whole and every fold has non-empty masks.
    """
    areas = check_rows(image_ids, groups, area_px, count, area_bins)
    table = pd.DataFrame({"image_id": list(image_ids), "group": _named(image_ids, groups)})
    table["area_px"] = areas
    order = np.argsort(table["image_id"].to_numpy(dtype=object), kind="stable")
    table = table.iloc[order].reset_index(drop=True)
    if labels is not None:
        counted = count_labels(labels, len(order), count, area_bins)
        return _spread_labels(table, counted, order, count, seed)
    if classes is None:
        return _spread_strata(table, None, count, seed, area_bins)
    in_order = [classes[place] or NO_CLASS for place in order]
    folds = _spread_strata(table, [classes[place] for place in order], count, seed, area_bins)
    before = _unevenness(in_order, folds, count)
    if before == EVEN:
        return folds
    flags = {name: np.array([own == name for own in in_order]) for name in sorted(set(in_order))}
    counted = count_labels(flags, len(order), count, area_bins)
    other = _spread_labels(table, counted, np.arange(len(order)), count, seed)
    return other if _unevenness(in_order, other, count) < before else folds


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
    areas = check_rows(image_ids, groups, area_px, count, area_bins)
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


def _unevenness(classes: Sequence[str], folds: pd.DataFrame, count: int) -> tuple[int, float]:
    """Return the folds without a class that could be there, and how far frequent classes are off.

    Classes of at least `ENOUGH` images are frequent; up to `TOLERATED` counts as not off at all.

    Args:
        classes: (N,) class of each image.
        folds: fold and group of each.
        count: number of folds.
    """
    table = pd.DataFrame({"class": classes, "fold": folds["fold"], "group": folds["group"]})
    images = table.groupby(["class", "fold"]).size().unstack(fill_value=0)
    images = images.reindex(columns=range(count), fill_value=0)
    groups = table.groupby("class")["group"].nunique()
    lacking = int((images[groups >= count] == 0).to_numpy().sum())
    frequent = images[images.sum(axis=1) >= ENOUGH]
    share = frequent.mean(axis=1)
    away = frequent.sub(share, axis=0).abs().div(share, axis=0).to_numpy(np.float64)
    return lacking, max(float(np.max(away, initial=0.0)), TOLERATED)


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
    check_possible(counts, count, "an image that has a label")
    by_seed = group_order(keys.tolist(), seed)
    numbers = group_order([f"fold {number}" for number in range(count)], seed)
    fold_of_group = np.empty(len(keys), dtype=np.int64)
    fold_of_group[by_seed] = numbers[spread_groups(counts[by_seed], count, labels.shares)]
    strata = [labels.strata[place] for place in order]
    return table.assign(fold=fold_of_group[group_of], stratum=strata)[COLUMNS]


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
        names = stratum_names(strata)
    else:
        strata, names = class_strata(classes, count)

    keys, group_of = np.unique(table["group"].to_numpy(dtype=np.str_), return_inverse=True)
    counts = _group_counts(group_of, len(keys), strata)
    what = "a non-empty mask" if classes is None else "an image of a rarer class"
    check_possible(counts, count, what)
    order = group_order(keys.tolist(), seed)
    # Folds are numbered at random: otherwise fold 0 would always hold the heaviest group.
    numbers = group_order([f"fold {number}" for number in range(count)], seed)
    fold_of_group = np.empty(len(keys), dtype=np.int64)
    required = 1 if counts[:, 1].any() else 0
    fold_of_group[order] = numbers[split_groups(counts[order], _weights(counts), count, required)]
    return table.assign(fold=fold_of_group[group_of], stratum=names)[COLUMNS]


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
