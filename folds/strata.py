"""Strata that are spread evenly over the folds: empty masks, area quantiles, or classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def area_strata(area_px: IntArray, bins: int) -> IntArray:
    """Return the stratum of each image: 0 for an empty mask, 1 and up by increasing mask area.

    The non-empty images are divided into `bins` parts of equal size. Equal areas share a stratum,
    so there may be fewer strata than `bins`; their numbers have no gaps.

    >>> area_strata(np.array([0, 10, 20, 30, 40, 0]), bins=2)
    array([0, 1, 1, 2, 2, 0])

    Args:
        area_px: (N,) mask areas in pixels, 0 or more.
        bins: number of parts, 1 or more.
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
"""Stratum of the combinations of classes with fewer images than folds."""
NO_CLASS = "none"
"""Stratum of the images without a class."""


def class_strata(classes: Sequence[str], folds: int) -> tuple[IntArray, list[str]]:
    """Return the stratum of each image, and its name; 0 is the most frequent one.

    Classes (or combinations) with fewer images than folds form one stratum, `rare`, together with
    all but the `MOST_STRATA` most frequent.

    >>> class_strata(["a", "a", "b", "", "b", "a"], folds=2)
    (array([0, 0, 1, 2, 1, 0]), ['a', 'a', 'b', 'rare', 'b', 'a'])

    Args:
        classes: (N,) class or combination of classes of each image; "" for none.
        folds: number of folds.
    """
    counts = Counter(classes)
    kept = {
        combination
        for combination, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[
            :MOST_STRATA
        ]
        if count >= folds or len(counts) <= 2
    }
    names = [(combination or NO_CLASS) if combination in kept else RARE for combination in classes]
    order = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))
    number = {name: place for place, (name, _) in enumerate(order)}
    return np.array([number[name] for name in names], np.int64), names


def number_strata(numbers: Sequence[float], folds: int, bins: int) -> list[str]:
    """Return the quantile of each number, `quantile-1` the lowest; equal numbers share one.

    There are fewer quantiles where there are too few images to put one of each into every fold.

    >>> number_strata([3.0, 1.0, 2.0, 9.0], folds=2, bins=4)
    ['quantile-2', 'quantile-1', 'quantile-1', 'quantile-2']

    Args:
        numbers: (N,).
        folds: number of folds.
        bins: number of quantiles.
    """
    values = np.asarray(numbers, np.float64)
    parts = usable_bins(len(values), folds, bins)
    edges = np.sort(values)[[part * len(values) // parts for part in range(1, parts)]]
    place = np.unique(np.searchsorted(edges, values, side="right"), return_inverse=True)[1]
    return [f"quantile-{number + 1}" for number in place.tolist()]


def usable_bins(non_empty: int, folds: int, bins: int) -> int:
    """Return `bins`, or the largest smaller number with one image of each part for every fold.

    >>> usable_bins(non_empty=12, folds=5, bins=4)
    2
    """
    return max(1, min(bins, non_empty // folds))


def stratum_names(strata: IntArray) -> list[str]:
    """Return the names of the strata, as written to folds.csv.

    >>> stratum_names(np.array([0, 1, 2]))
    ['empty', 'area-1', 'area-2']
    """
    return ["empty" if stratum == 0 else f"area-{stratum}" for stratum in strata.tolist()]
