"""What the mask of each level gains over the empty one, in whole numbers, for the exact search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import LEVELS
from goldfold.competitions.metric import ONE
from goldfold.competitions.scores import Ratios

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

TOP_LEVEL = LEVELS - 1
"""Nothing is above it: the empty mask."""
_BITS = 61
"""Sums of gains stay below 2 to this power."""


def whole_gains(scores: FloatArray) -> IntArray:
    """Return score minus score of the empty mask, int64 (256 bottoms, N) in units of `ONE`.

    Args:
        scores: (N, 256); changed in place.
    """
    scores -= scores[:, TOP_LEVEL:]
    np.multiply(scores, ONE, out=scores)
    return np.ascontiguousarray(np.rint(scores, out=scores).T.astype(np.int64))


@dataclass(frozen=True)
class RatioGains:
    """Gains of above - ratio x below over the empty mask, where a score is above / below.

    Attributes:
        over_empty: int64 (256 bottoms, N), in units that keep sums exact.
        needed: sum of gains from which on the score is the ratio or more, but for rounding.
    """

    over_empty: IntArray
    needed: int


def ratio_gains(scores: Ratios, at: float) -> RatioGains:
    """Return the gains at a ratio.

    The unit is a power of 2, the smallest with which no sum over images overflows: for 12,000
    images of a megapixel 2 ** -27 of a pixel.

    Args:
        scores: what images contribute at each level, (N, 256).
        at: the ratio.
    """
    values = scores.above - at * scores.below
    empty = values[:, TOP_LEVEL:].copy()
    values -= empty
    largest = float(np.abs(values).max(axis=1).sum() + abs(empty.sum()))
    unit = 2.0 ** (_BITS - int(np.ceil(np.log2(largest))) - 1) if largest > 0 else 1.0
    gains = np.ascontiguousarray(np.rint(values * unit).T.astype(np.int64))
    # Each image is rounded by half a unit at most.
    return RatioGains(gains, int(np.floor(-float(empty.sum()) * unit)) - len(values))
