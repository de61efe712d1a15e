"""Kinds of images that are spread evenly over the folds: empty masks and quantiles of the area."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def area_strata(area_px: IntArray, bins: int) -> IntArray:
    """Return the stratum of each image: 0 for an empty mask, 1 and up for rising mask areas.

    The non-empty images are cut into `bins` parts of equal number. Equal areas share a stratum,
    so there may be fewer strata than `bins`; their numbers have no gaps.

    >>> area_strata(np.array([0, 10, 20, 30, 40, 0]), bins=2)
    array([0, 1, 1, 2, 2, 0])

    Args:
        area_px: (N,) mask areas in pixels, 0 and up.
        bins: number of parts, 1 and up.
    """
    strata = np.zeros(len(area_px), dtype=np.int64)
    non_empty = area_px > 0
    areas = np.sort(area_px[non_empty])
    if areas.size:
        edges = areas[[part * areas.size // bins for part in range(1, bins)]]
        part_of = np.searchsorted(edges, area_px[non_empty], side="right")
        strata[non_empty] = 1 + np.unique(part_of, return_inverse=True)[1]
    return strata


MOST_STRATA = 20
RARE = "rare"
"""Stratum of the combinations of classes that are too few for every fold."""
NO_CLASS = "none"
"""Stratum of the images without a class."""


def class_strata(classes: Sequence[str], folds: int) -> tuple[IntArray, list[str]]:
    """Return the stratum of each image and its name: 0 for the most frequent classes.

    Classes (or combinations) of fewer images than folds are one stratum, `rare`, and so are all
    but the `MOST_STRATA` most frequent.

    >>> class_strata(["a", "a", "b", "", "b", "a"], folds=2)
    (array([0, 0, 1, 2, 1, 0]), ['a', 'a', 'b', 'rare', 'b', 'a'])

    Args:
        classes: (N,) class or combination of each image; "" for none.
        folds: number of folds.
    """
    counts = Counter(classes)
    own = {
        one
        for one, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_STRATA]
        if count >= folds or len(counts) <= 2
    }
    names = [(one or NO_CLASS) if one in own else RARE for one in classes]
    order = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))
    number = {name: place for place, (name, _) in enumerate(order)}
    return np.array([number[name] for name in names], np.int64), names


def usable_bins(non_empty: int, folds: int, bins: int) -> int:
    """Return `bins`, or the largest smaller number that leaves an image of each part a fold.

    >>> usable_bins(non_empty=12, folds=5, bins=4)
    2
    """
    return max(1, min(bins, non_empty // folds))


def stratum_names(strata: IntArray) -> list[str]:
    """Return the strata by name, as they stand in folds.csv.

    >>> stratum_names(np.array([0, 1, 2]))
    ['empty', 'area-1', 'area-2']
    """
    return ["empty" if stratum == 0 else f"area-{stratum}" for stratum in strata.tolist()]
