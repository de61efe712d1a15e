"""What one way to predict classes gains over another, with an interval over groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from goldfold.competitions.class_metric_score import image_class_scores
from goldfold.ensemble.class_blend import FloatArray, IntArray, JudgedClasses, resampled_scorer
from goldfold.ensemble.class_intervals import known_bounds
from goldfold.ensemble.class_truth import Truth
from goldfold.ensemble.intervals import INTERVAL_LEVEL, group_interval


@dataclass(frozen=True)
class Gain:
    """Difference of two honest scores, with a bootstrap interval over groups.

    Attributes:
        mean: the difference itself.
        low: of the interval; NaN where no resampling had a score.
        high: of the interval.
    """

    mean: float
    low: float
    high: float


def class_gains(
    truth: Truth,
    base: JudgedClasses,
    others: Sequence[JudgedClasses],
    groups: IntArray,
    *,
    samples: int,
    seed: int,
    level: float = INTERVAL_LEVEL,
) -> list[Gain]:
    """Return what each of several ways to predict gains over a first one.

    A logarithmic loss and the accuracy are means over images: their differences are resampled.
    Other metrics, as F1 and AUROC, belong to the whole set, so both scores are computed anew for
    every drawing.

    Args:
        truth: of N images.
        base: what all are compared with.
        others: judged on the same images.
        groups: (N,) group numbers from 0.
        samples: resamplings; each draws as many groups as there are, with replacement.
        seed: of the drawing.
        level: share of the resampled differences inside.
    """
    points = [other.honest - base.honest for other in others]
    first = _image_scores(truth, base)
    if first is not None:
        gains = []
        for point, other in zip(points, others, strict=True):
            its = _image_scores(truth, other)
            assert its is not None
            gap = its - first
            interval = group_interval(gap, groups, samples=samples, seed=seed, level=level)
            gains.append(Gain(point, interval.low, interval.high))
        return gains
    scores = [
        resampled_scorer(truth, judged.probability, judged.predicted) for judged in (base, *others)
    ]
    rng = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    gaps = np.full((samples, len(others)), np.nan)
    for sample in range(samples):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        weights = times[groups].astype(float)
        first_score = scores[0](weights)
        gaps[sample] = [score(weights) - first_score for score in scores[1:]]
    return [
        Gain(point, *known_bounds(gaps[:, number], level)) for number, point in enumerate(points)
    ]


def _image_scores(truth: Truth, judged: JudgedClasses) -> FloatArray | None:
    """Return the score of each image, (N,), where the metric is their mean; else None."""
    return image_class_scores(
        truth.metric,
        truth.targets,
        judged.probability,
        judged.predicted,
        exclusive=truth.exclusive,
        class_weights=truth.class_weights,
    )
