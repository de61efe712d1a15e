"""Counts of several labels per image, which folds spread evenly all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from goldfold.errors import InputError, list_problems
from goldfold.folds.strata import MOST_STRATA, NO_CLASS, area_strata, usable_bins

IntArray = NDArray[np.int64]

JOINT = ";"
"""Separates the labels of an image in the column stratum of folds.csv."""
ENOUGH = 100
"""A label with at least so many images is expected to be even in all folds."""
MOST_LABELS = 200
"""Labels that are spread, the most frequent ones."""
_TOGETHER = 0.2
"""Importance of the combinations of labels, all together, where a label's is 1."""


@dataclass(frozen=True)
class LabelCounts:
    """What is spread evenly: a row of counts per image."""

    counts: IntArray
    """(N, F): 1, whether there is any label, then one column per label or area quantile."""
    shares: NDArray[np.float64]
    """(F,) importance of each column; the area quantiles of a label share one label's."""
    strata: list[str]
    """(N,) the labels of each image, joined; `none` without any."""


def count_labels(
    labels: Mapping[str, ArrayLike], images: int, folds: int, area_bins: int
) -> LabelCounts:
    """Return the counts of labels that are yes or no, or areas of masks.

    A label of areas is there where the area is above 0, and its area quantiles are spread, too.

    Args:
        labels: label -> (N,) bool, or areas in pixels as whole numbers of 0 or more.
        images: N.
        folds: number of folds; there are fewer quantiles where a fold could not get one of each.
        area_bins: number of area quantiles.

    Raises:
        InputError: a label has another number of images, or values of another kind.
    """
    areas = _checked(labels, images)
    present = {label: values > 0 for label, values in areas.items()}
    any_label = np.zeros(images, np.bool_)
    for flags in present.values():
        any_label |= flags
    columns, shares = [np.ones(images, np.bool_), any_label, ~any_label], [1.0, 1.0, 1.0]
    frequent = sorted(areas, key=lambda label: -int(present[label].sum()))[:MOST_LABELS]
    for label, values in ((label, areas[label]) for label in areas if label in set(frequent)):
        columns.append(present[label])
        shares.append(1.0)
        bins = usable_bins(int(present[label].sum()), folds, area_bins)
        quantiles = []
        if values.dtype != np.bool_:
            strata = area_strata(values.astype(np.int64), bins)
            quantiles = [strata == number for number in range(1, int(strata.max(initial=0)) + 1)]
        columns += quantiles
        shares += [1 / max(1, len(quantiles))] * len(quantiles)
    names = _joined(present, images)
    together = _combinations(names, folds)
    columns += together
    shares += [_TOGETHER / max(1, len(together))] * len(together)
    return LabelCounts(np.stack(columns, axis=1).astype(np.int64), np.array(shares), names)


def label_balance(fold: ArrayLike, labels: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """Return how evenly labels are spread, one row per label, then one for all images.

    Columns: label, images, one for each fold with the number of its images that have the label,
    deviation (of the worst fold, a fraction of the ideal share: 0.03 is 3 %).

    Args:
        fold: (N,) fold of each image.
        labels: label -> (N,) whether an image has it, or its area.
    """
    folds = np.asarray(fold)
    names = np.unique(folds)
    rows = []
    for label, values in {**labels, "all images": np.ones(len(folds))}.items():
        has = np.asarray(values) > 0
        counts = [int(has[folds == name].sum()) for name in names]
        share = sum(counts) / len(names)
        worst = max(abs(count - share) for count in counts) / share if share else 0.0
        rows.append([label, sum(counts), *counts, worst])
    return pd.DataFrame(rows, columns=["label", "images", *map(str, names), "deviation"])


def split_labels(strata: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Return the labels that are joined in the column stratum, the most frequent one first.

    >>> {label: has.tolist() for label, has in split_labels(["a;b", "none", "a"]).items()}
    {'a': [True, False, True], 'b': [True, False, False], 'none': [False, True, False]}

    Args:
        strata: (N,) labels of each image, joined.

    Returns:
        label -> (N,) whether an image has it.
    """
    of_image = [set(stratum.split(JOINT)) for stratum in strata]
    names = sorted(set().union(*of_image) - {""})
    flags = {name: np.array([name in own for own in of_image], np.bool_) for name in names}
    return dict(sorted(flags.items(), key=lambda item: -int(item[1].sum())))


def _checked(
    labels: Mapping[str, ArrayLike], images: int
) -> dict[str, IntArray | NDArray[np.bool_]]:
    problems: list[str] = []
    arrays: dict[str, IntArray | NDArray[np.bool_]] = {}
    for label, given in labels.items():
        values = np.asarray(given)
        if values.shape != (images,):
            problems.append(f"label {label!r}: {images} images, but values of shape {values.shape}")
        elif values.dtype == np.bool_:
            arrays[label] = values
        elif not np.issubdtype(values.dtype, np.number) or not np.isfinite(values).all():
            problems.append(f"label {label!r}: expected bool or areas in pixels")
        elif (values < 0).any() or (values != np.floor(values)).any():
            problems.append(f"label {label!r}: expected whole areas of 0 or more")
        else:
            arrays[label] = values.astype(np.int64)
    if problems:
        raise InputError(list_problems("cannot build folds:", problems))
    return arrays


def _combinations(strata: Sequence[str], folds: int) -> list[NDArray[np.bool_]]:
    """Return which images have each of the frequent combinations of labels, (N,) each."""
    own = np.array(strata, dtype=object)
    counts = Counter(strata).most_common(MOST_STRATA)
    return [own == name for name, count in counts if count >= folds and JOINT in name]


def _joined(present: Mapping[str, NDArray[np.bool_]], images: int) -> list[str]:
    own: list[list[str]] = [[] for _ in range(images)]
    for label, flags in present.items():
        for place in np.flatnonzero(flags).tolist():
            own[place].append(label)
    return [JOINT.join(names) or NO_CLASS for names in own]
