"""The best gate for every pair of thresholds: exact sums over all images, without a pixel.

A gated rule predicts the pixels above `bottom` on the images with at least `min_area` pixels
above `top`, and nothing on the others. Its gain over the all-empty submission is the sum, over
the images that pass the gate, of (score of the mask above bottom - score of the empty mask).
For one top, the images sorted by their area above it pass one after the other as min_area falls,
so a cumulative sum over that order gives every min_area, for all bottoms at once.

Three things make it fast, and none of them changes the result:

1. Scores are whole multiples of 2**-40, so that sums do not depend on their order.
2. An empty image costs a whole point for every bottom below its highest level. Such images are
   counted, not summed; and as they only ever cost, a best gate opens at one of the others.
3. With a perfect gate, (top, bottom) gains at most the positive gains of the images that have a
   pixel above top. Pairs that even so stay below the best known gain are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import LEVELS
from goldfold.competitions.metric import ONE

PRUNED = np.iinfo(np.int64).min

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class _Images:
    """Images split into those that are summed and those that are counted."""

    gains: IntArray  # (256 bottoms, D)
    areas: IntArray  # (256 tops, D)
    highest: IntArray  # (D,) tops above which the image has pixels: its highest level
    empty_areas: IntArray  # (256 tops, E)
    empty_highest: IntArray  # (E,)


def best_gains(
    gains: IntArray,
    areas: IntArray,
    *,
    known: int,
    candidates: int | None = None,
    slack: int = 0,
) -> IntArray:
    """Return the largest gain over all min_area of at least 1, int64 (256 tops, 256 bottoms).

    Exact wherever the gain comes within `slack` of the best, which is `known` at least; pairs that
    were passed over or lie lower hold `PRUNED`.

    Args:
        gains: (256 bottoms, N) gain of each image's mask over the empty one, in units of `ONE`.
        areas: (256 tops, N) pixels above each level, falling along the tops.
        known: a gain that is reached without a gate.
        candidates: try at most so many values of min_area for each top, spread evenly over the
            images that pass; None tries all.
        slack: how far below the best gain a pair may lie, in units of `ONE`.
    """
    images = _split(gains, areas)
    bounds = _perfect_gate(images)
    table = np.full((LEVELS, LEVELS), PRUNED)
    best = known
    for top in _spread_order():
        hopeful = np.flatnonzero(bounds[top] >= best - slack)
        if not hopeful.size or not (images.highest > top).any():
            continue
        bottoms = slice(int(hopeful[0]), int(hopeful[-1]) + 1)
        table[top, bottoms] = _gains_at_top(images, top, bottoms, best - slack, candidates)
        best = max(best, int(table[top].max()))
    table[table < best - slack] = PRUNED
    return table


def _split(gains: IntArray, areas: IntArray) -> _Images:
    highest = (areas > 0).sum(axis=0)
    costs_only = (gains == np.where(np.arange(LEVELS)[:, None] < highest, -ONE, 0)).all(axis=0)
    counted = np.flatnonzero(costs_only & (highest > 0))
    summed = np.flatnonzero(~costs_only)
    return _Images(
        np.take(gains, summed, axis=1),
        np.take(areas, summed, axis=1),
        highest[summed],
        np.take(areas, counted, axis=1),
        highest[counted],
    )


def _spread_order() -> list[int]:
    """Return all tops, each next one far from those before, so that a good gain is known soon."""
    return sorted(range(LEVELS), key=lambda top: int(f"{top:08b}"[::-1], 2))


def _perfect_gate(images: _Images) -> IntArray:
    """Return the bound of remark 3, (256 tops, 256 bottoms)."""
    sums = np.zeros((LEVELS, LEVELS), np.int64)  # by highest level, by bottom
    order = np.argsort(images.highest)
    levels, starts = np.unique(images.highest[order], return_index=True)
    if levels.size:
        positive = np.maximum(images.gains, 0)[:, order]
        sums[levels] = np.add.reduceat(positive, starts, axis=1).T
    bounds = np.zeros_like(sums)
    bounds[:-1] = sums[:0:-1].cumsum(axis=0)[::-1]
    return bounds


def _gains_at_top(
    images: _Images, top: int, bottoms: slice, best: int, candidates: int | None
) -> IntArray:
    """Return the largest gain for each bottom, `PRUNED` where it is below `best`."""
    areas = images.areas[top]
    passing = np.flatnonzero(areas)
    order = passing[np.argsort(-areas[passing])]
    areas = areas[order]
    sums = np.take(images.gains[bottoms], order, axis=1)
    _charge_empty_images(sums, images, top, bottoms.start, areas)
    np.cumsum(sums, axis=1, out=sums)

    # A gate cannot part images of equal area, so this is an upper bound; mostly it is enough.
    result = np.full(len(sums), PRUNED)
    hopeful = np.flatnonzero(sums.max(axis=1) >= best)
    if hopeful.size:
        cuts = np.flatnonzero(np.append(areas[:-1] != areas[1:], True))
        if candidates is not None and candidates < cuts.size:
            cuts = cuts[np.linspace(0, cuts.size - 1, candidates).round().astype(np.int64)]
        result[hopeful] = sums[np.ix_(hopeful, cuts)].max(axis=1)
    result[result < best] = PRUNED
    return result


def _charge_empty_images(
    sums: IntArray, images: _Images, top: int, bottom: int, areas: IntArray
) -> None:
    """Subtract a point where an empty image first passes, for all bottoms below its highest level.

    Args:
        sums: (B, K) gains of the images in falling order of area, changed in place.
        images: all images.
        top: level of the gate.
        bottom: the first of the B bottoms.
        areas: (K,) area above top, falling.
    """
    charged = np.flatnonzero(images.empty_highest > max(top, bottom))
    first = np.searchsorted(-areas, -images.empty_areas[top, charged], side="left")
    passes = first < areas.size
    rows = np.minimum(images.empty_highest[charged] - bottom, len(sums)) - 1
    cells = rows[passes] * areas.size + first[passes]
    counts = np.bincount(cells, minlength=sums.size).reshape(sums.shape)
    for row in range(len(sums) - 2, -1, -1):
        counts[row] += counts[row + 1]
    counts *= ONE
    sums -= counts
