"""The scale on which maps are averaged: probabilities, their logarithms, logits, or ranks.

Each scale is a table of 256 whole numbers, one a level, and the way back is a table, too. Sums of
whole numbers are the same on every machine, and the blend of identical maps is that map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import LEVELS
from goldfold.ensemble.calibration_curve import MIDDLES
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
        there: (256,) place on the scale of each level, rising; calibrated ones may stay level.
        back: (STEPS,) level nearest to each place of the scale, uint8.
        values: (256,) what is averaged at each level, such as its logit.
    """

    name: str
    there: Table
    back: Levels
    values: NDArray[np.float64]

    def levels(self, total: NDArray[np.integer], weight: int) -> Levels:
        """Return the level of a weighted sum of places, uint8, rounded to the nearest place.

        Args:
            total: sum of places times weights, any shape.
            weight: sum of the weights.
        """
        nearest: Levels = self.back[(total + weight // 2) // weight]
        return nearest


def make_scale(
    name: str,
    counts: NDArray[np.int64] | None = None,
    calibrated: Sequence[float] | None = None,
) -> Scale:
    """Return a scale by its name.

    - `mean`: the probability itself.
    - `geometric`: its logarithm; one member that is sure of nothing takes the mask away.
    - `logit`: its logit; members that are sure count most, either way.
    - `rank`: the share of a member's pixels above level 0 that lie below; members are made equally
      bold. The way back is the first member's, so that maps stay probabilities of a kind.

    Args:
        name: one of `MERGES`.
        counts: (256,) how many pixels of a member have each level; needed for `rank`.
        calibrated: (256,) probability of each level of a calibrated member. It is not rounded to a
            level before it is averaged; the way back is the one without calibration.

    Raises:
        InputError: there is no such scale, or `rank` lacks the counts or is calibrated.
    """
    values = _ranks(counts) if name == "rank" else _values(name, MIDDLES)
    span = (values - values[0]) / (values[-1] - values[0])
    there = np.rint(span * (STEPS - 1)).astype(np.int64)
    back = _nearest(there)
    if calibrated is not None:
        if name == "rank":
            raise InputError("calibration changes no rank. Merge by rank without it.")
        held = np.clip(np.asarray(calibrated, np.float64), MIDDLES[0], MIDDLES[-1])
        low, high = values[0], values[-1]
        values = _values(name, held)
        there = np.rint((values - low) / (high - low) * (STEPS - 1)).astype(np.int64)
    return Scale(name, there, back, values)


def member_scales(
    merge: str,
    members: Sequence[str],
    level_counts: Mapping[str, Sequence[int]],
    calibrations: Mapping[str, Sequence[float]],
) -> dict[str, Scale] | None:
    """Return the scale of each member, None for the plain mean of probabilities.

    Args:
        merge: one of `MERGES`.
        members: names.
        level_counts: by member, pixels by level (256,); needed for `rank`.
        calibrations: by member, calibrated probability by level (256,); none without calibration.

    Raises:
        KeyError: a member lacks its counts or its calibration.
    """
    if merge == "mean" and not calibrations:
        return None
    return {
        name: make_scale(
            merge,
            np.array(level_counts[name], np.int64) if merge == "rank" else None,
            calibrations[name] if calibrations else None,
        )
        for name in members
    }


def _values(name: str, probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is averaged of probabilities."""
    match name:
        case "mean":
            return probability
        case "geometric":
            return np.asarray(np.log(probability))
        case "logit":
            return np.asarray(np.log(probability / (1 - probability)))
    hint = did_you_mean(name, MERGES)
    raise InputError(f"unknown merge {name!r}; there are {', '.join(MERGES)}.{hint}")


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
