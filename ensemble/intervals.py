"""Bootstrap intervals of scores, in which whole groups are drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.scores import Ratios, Scores, ratio

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

INTERVAL_LEVEL = 0.95

_DRAWS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Interval:
    """Bounds of a bootstrap interval, e.g. of level 0.95, and how it was drawn."""

    low: float
    high: float
    level: float
    samples: int
    groups: int
    seed: int


def group_interval(
    scores: Scores,
    groups: IntArray,
    *,
    samples: int = 2000,
    seed: int = 0,
    level: float = INTERVAL_LEVEL,
) -> Interval:
    """Return the percentile interval of the score when whole groups are drawn again.

    Images of one patient resemble each other, so drawing single images would make the interval
    too narrow.

    Args:
        scores: (N,) score of each image, or what each contributes to a ratio.
        groups: (N,) group numbers from 0, as `number_groups` gives them.
        samples: resamplings; each draws as many groups as there are, with replacement.
        seed: of the drawing.
        level: share of the resampled means inside the interval.

    Source: B. Efron, "Bootstrap methods: another look at the jackknife", Ann. Statist. 7 (1979).
    """
    drawn, count = resampled_means([scores], groups, samples=samples, seed=seed)
    low, high = np.quantile(drawn[0], [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, samples, count, seed)


def gain_interval(
    scores: Scores, base: Scores, groups: IntArray, *, samples: int = 2000, seed: int = 0
) -> dict[str, float]:
    """Return what one way gains over another on the same images: mean, low and high.

    Args:
        scores: (N,) as in `group_interval`.
        base: (N,) of what is compared with.
        groups: (N,) group numbers from 0.
        samples: resamplings, in which both are scored on the same groups.
        seed: of the drawing.
    """
    if not isinstance(scores, Ratios) and not isinstance(base, Ratios):
        gap = scores - base
        interval = group_interval(gap, groups, samples=samples, seed=seed)
        return {"mean": float(gap.mean()), "low": interval.low, "high": interval.high}
    drawn, _ = resampled_means([scores, base], groups, samples=samples, seed=seed)
    ends = [(1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2]
    low, high = np.quantile(drawn[0] - drawn[1], ends)
    return {"mean": float(scores.mean() - base.mean()), "low": float(low), "high": float(high)}


def resampled_means(
    ways: Sequence[Scores], groups: IntArray, *, samples: int, seed: int
) -> tuple[list[FloatArray], int]:
    """Return the scores when whole groups are drawn again, of each way (samples,); and the groups.

    Args:
        ways: of each (N,) as in `group_interval`.
        groups: (N,) group numbers from 0.
        samples: resamplings; each draws as many groups as there are, with replacement.
        seed: of the drawing.
    """
    sums = [_group_sums(scores, groups) for scores in ways]
    count = len(sums[0][0])
    rng = np.random.default_rng(seed)
    means = [np.empty(samples) for _ in ways]
    step = max(1, _DRAWS_AT_ONCE // count)
    for start in range(0, samples, step):
        drawn = rng.integers(0, count, (min(step, samples - start), count), dtype=np.int32)
        for row, (above, below) in zip(means, sums, strict=True):
            ratios = ratio(above[drawn].sum(axis=1), below[drawn].sum(axis=1))
            row[start : start + step] = ratios if ratios.ndim == 1 else ratios.mean(axis=1)
    return means, count


def _group_sums(scores: Scores, groups: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return what each of G groups contributes above and below, (G,) or (G, C)."""
    if not isinstance(scores, Ratios):
        sums = np.asarray(np.bincount(groups, weights=scores), np.float64)
        return sums, np.bincount(groups).astype(np.float64)
    count = int(groups.max()) + 1
    parts = []
    for part in (scores.above, scores.below):
        total = np.zeros((count, *part.shape[1:]))
        np.add.at(total, groups, part)
        parts.append(total)
    return parts[0], parts[1]
