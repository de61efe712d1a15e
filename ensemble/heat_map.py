"""Pictures of the score around a rule: over (top, min_area) and over (min_area, bottom)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import LEVELS, counts_above, scores_by_level
from goldfold.competitions.metric import ONE
from goldfold.competitions.scores import Ratios, ratio
from goldfold.ensemble.level_gains import TOP_LEVEL, whole_gains
from goldfold.ensemble.threshold import ALL_EMPTY, Rule, rule_scores
from goldfold.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

    from goldfold.ensemble.threshold_choice import Chosen

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_AREAS = 48
_SHOWN_BELOW_BEST = 0.02
"""Scores lower than this below the best are one colour: what matters is the top."""


def area_axis(largest: int, count: int = _AREAS) -> IntArray:
    """Return areas in pixels from 1 on, evenly spread on a logarithmic scale, each once.

    >>> area_axis(100, 5).tolist()
    [1, 3, 10, 32, 100]
    """
    spread = np.geomspace(1, max(largest, 1), count)
    axis: IntArray = np.unique(np.rint(spread).astype(np.int64))
    return axis


def score_over_top_and_area(
    histograms: IntArray, bottom: int, areas: IntArray, metric: str
) -> FloatArray:
    """Return the score of all images for every top and some min_areas at one bottom, (256, A).

    Args:
        histograms: (N, 2 or 3, 256).
        bottom: level.
        areas: (A,) min_areas in pixels, rising.
        metric: name of a metric of masks.
    """
    sums = _sums(histograms, metric)
    above = counts_above(histograms[:, 0])  # (N, 256)
    table = np.empty((LEVELS, len(areas)))
    for top in range(LEVELS):
        table[top] = sums.scores(above[:, top], areas, slice(bottom, bottom + 1))[0]
    return table


def score_over_area_and_bottom(
    histograms: IntArray, top: int, areas: IntArray, metric: str
) -> FloatArray:
    """Return the score of all images for some min_areas and every bottom at one top, (A, 256).

    Args:
        histograms: (N, 2 or 3, 256).
        top: level.
        areas: (A,) min_areas in pixels, rising.
        metric: name of a metric of masks.
    """
    above = counts_above(histograms[:, 0])[:, top]
    return _sums(histograms, metric).scores(above, areas, slice(None)).T


@dataclass(frozen=True)
class _Sums:
    """What images contribute to a score: a mean, or a ratio of sums.

    Attributes:
        gains: over the empty mask, of each part of the score (256 bottoms, N): of a mean in units
            of `ONE`, of a ratio what stands above and below.
        empty: each part's sum over images for empty masks.
        images: N.
    """

    gains: tuple[NDArray[np.generic], ...]
    empty: tuple[float, ...]
    images: int

    def scores(self, area: IntArray, areas: IntArray, bottoms: slice) -> FloatArray:
        """Return the score of all images for each bottom and min_area, (B, A).

        Args:
            area: (N,) pixels above the top.
            areas: (A,) min_areas.
            bottoms: which.
        """
        sums = [_gain_from(area, gains[bottoms], areas) for gains in self.gains]
        if len(sums) == 1:
            return np.asarray(self.empty[0] + sums[0] / ONE / self.images)
        above, below = (empty + part for empty, part in zip(self.empty, sums, strict=True))
        return ratio(above, below)


def _sums(histograms: IntArray, metric: str) -> _Sums:
    scores = scores_by_level(histograms, metric)
    if not isinstance(scores, Ratios):
        empty = float(rule_scores(histograms, ALL_EMPTY, metric).mean())
        return _Sums((whole_gains(scores),), (empty,), len(histograms))
    parts = scores.above, scores.below
    nothing = [part[:, TOP_LEVEL:] for part in parts]
    gains = tuple((part - none).T for part, none in zip(parts, nothing, strict=True))
    return _Sums(gains, tuple(float(none.sum()) for none in nothing), len(histograms))


def _gain_from(above: IntArray, gains: NDArray[np.generic], areas: IntArray) -> FloatArray:
    """Return the summed gain of the images with at least each area, (B, A).

    Args:
        above: (N,) pixels above the top.
        gains: (B, N).
        areas: (A,).
    """
    order = np.argsort(above, kind="stable")
    sums = np.zeros((len(gains), len(above) + 1))
    sums[:, :-1] = gains[:, order][:, ::-1].cumsum(axis=1)[:, ::-1]
    gain: FloatArray = sums[:, np.searchsorted(above[order], areas, side="left")]
    return gain


def draw_heat_maps(path: Path, histograms: IntArray, chosen: Chosen, metric: str) -> None:
    """Write a PNG with both pictures, the rule and the best rule marked.

    Args:
        path: the file.
        histograms: (N, 2 or 3, 256) of the blended out-of-fold maps.
        chosen: the rule, the peak and the plateau.
        metric: name of a metric of masks.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rule = chosen.rule
    areas = area_axis(int(histograms[:, 0, 1:].sum(axis=1).max()))
    left = score_over_top_and_area(histograms, rule.bottom, areas, metric)
    right = score_over_area_and_bottom(histograms, rule.top, areas, metric)
    best = max(left.max(), right.max())
    figure = Figure(figsize=(12, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    probability = (np.arange(LEVELS) + 1) / LEVELS
    _draw(axes[0], probability, areas, left.T, best)
    image = _draw(axes[1], probability, areas, right, best)
    axes[0].set_title(f"mask threshold {rule.bottom_probability:.3f}", fontsize=10)
    axes[0].set_xlabel("score threshold (top)")
    axes[1].set_title(f"score threshold {rule.top_probability:.3f}", fontsize=10)
    axes[1].set_xlabel("mask threshold (bottom)")
    for axis, level_of in ((axes[0], _top), (axes[1], _bottom)):
        axis.set_ylabel("minimum area in pixels (min_area)")
        for marked, marker, name in (
            (chosen.peak.rule, "x", f"best, {chosen.peak.score:.4f}"),
            (rule, "o", f"chosen, {chosen.score:.4f}"),
        ):
            axis.plot(
                [level_of(marked)], [max(marked.min_area, 1)], marker, color="#d62728",
                markersize=9, markerfacecolor="none", markeredgewidth=2, label=name, ls="none",
            )  # fmt: skip
    axes[1].legend(loc="upper right", fontsize=9)
    figure.suptitle(f"Score ({metric}) on the images of the search, optimistic", fontsize=11)
    figure.colorbar(image, ax=list(axes), label=metric)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def _top(rule: Rule) -> float:
    return rule.top_probability


def _bottom(rule: Rule) -> float:
    return rule.bottom_probability


def _draw(
    axis: Axes, probability: FloatArray, areas: IntArray, scores: FloatArray, best: float
) -> QuadMesh:
    axis.set_yscale("log")
    return axis.pcolormesh(
        probability, areas, scores, vmin=best - _SHOWN_BELOW_BEST, vmax=best, shading="nearest"
    )
