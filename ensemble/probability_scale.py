"""The scale on which maps are averaged: probabilities, their logarithms, logits, or ranks.

Each scale is a table of 256 whole numbers, one a level, and the way back is a table, too. Sums of
whole numbers are the same on every machine, and the blend of identical maps is that map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import LEVELS
from goldfold.errors import InputError, did_you_mean
from goldfold.vocabulary import MemberMerge, names_of

MERGES = names_of(MemberMerge)
"""Names of the scales."""

STEPS = 1 << 16
"""A scale goes from 0 to one below this."""

Levels = NDArray[np.uint8]
Table = NDArray[np.int64]


@dataclass(frozen=True)
class Scale:
    """There and back between levels and the scale on which they are averaged.

    Attributes:
        name: one of `MERGES`.
        there: (256,) place on the scale of each level, rising.
        back: (STEPS,) level nearest to each place of the scale, uint8.
    """

    name: str
    there: Table
    back: Levels

    def levels(self, total: NDArray[np.integer], weight: int) -> Levels:
        """Return the level of a weighted sum of places, uint8, rounded to the nearest place.

        Args:
            total: sum of places times weights, any shape.
            weight: sum of the weights.
        """
        nearest: Levels = self.back[(total + weight // 2) // weight]
        return nearest


def make_scale(name: str, counts: NDArray[np.int64] | None = None) -> Scale:
    """Return a scale by its name.

    - `mean`: the probability itself.
    - `geometric`: its logarithm; one member that is sure of nothing takes the mask away.
    - `logit`: its logit; members that are sure count most, either way.
    - `rank`: the share of a member's pixels above level 0 that lie below; members are made equally
      bold. The way back is the first member's, so that maps stay probabilities of a kind.

    Args:
        name: one of `MERGES`.
        counts: (256,) how many pixels of a member have each level; needed for `rank`.

    Raises:
        InputError: there is no such scale, or `rank` lacks the counts.
    """
    middle = (np.arange(LEVELS) + 0.5) / LEVELS
    if name == "mean":
        values = middle
    elif name == "geometric":
        values = np.log(middle)
    elif name == "logit":
        values = np.log(middle / (1 - middle))
    elif name == "rank":
        values = _ranks(counts)
    else:
        hint = did_you_mean(name, MERGES)
        raise InputError(f"unknown merge {name!r}; there are {', '.join(MERGES)}.{hint}")
    span = (values - values[0]) / (values[-1] - values[0])
    there = np.rint(span * (STEPS - 1)).astype(np.int64)
    return Scale(name, there, _nearest(there))


def _ranks(counts: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """Return the middle rank of each level above 0 among the pixels above 0; level 0 has rank 0."""
    if counts is None or counts.shape != (LEVELS,):
        raise InputError(
            "expected the pixels by level of each member to merge by rank, found none."
        )
    busy = counts[1:].astype(np.float64)
    below = np.cumsum(busy) - busy
    ranks = np.concatenate([[0.0], (below + busy / 2) / max(busy.sum(), 1)])
    # A fiftieth of the level itself keeps levels apart that a member hardly ever gives.
    return ranks + np.arange(LEVELS) / (LEVELS - 1) / 50


def _nearest(there: Table) -> Levels:
    """Return the level nearest to each place; of two as near, the upper one."""
    middles = (there[:-1] + there[1:] + 1) // 2
    nearest: Levels = np.searchsorted(middles, np.arange(STEPS), side="right").astype(np.uint8)
    return nearest
