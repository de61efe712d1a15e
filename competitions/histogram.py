"""Two 256-bin histograms per image, from which every score at every threshold follows.

A metric of objects does not follow from pixel counts. For such a metric, a third row contains the
score of the image at each level, in units of `ONE`. It is evaluated at some levels only, as each
needs a pass over the map; the other levels contain `UNJUDGED`. A level between two evaluated levels
takes the score of the next evaluated one. Rules name only evaluated levels (`judged_levels`), so
every score of a rule is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.ignored_pixels import outside_ignored
from goldfold.competitions.level_truth import LevelTruth
from goldfold.competitions.metric import ONE, scored_by_level, set_scores
from goldfold.competitions.pixels import LEVELS as _LEVELS
from goldfold.competitions.scores import Ratios, Scores, ratio
from goldfold.errors import InputError

LEVELS = _LEVELS
UNJUDGED = -1
"""In the row of scores: not evaluated at this level."""
PIXEL_ROWS, OBJECT_ROWS = 2, 3
"""Rows of an image's histograms, for metrics of pixels and of objects."""

_WORD_BYTES = 8
_EXACT = 1 << 24
_SMALL = 6  # pixels of an image over those of a small mask


def judged_at(every: int = 8) -> tuple[int, ...]:
    """Return every n-th level, including 255, at which objects are evaluated.

    >>> judged_at(64)
    (63, 127, 191, 255)
    """
    return tuple(range(every - 1, LEVELS, every))


JUDGED = judged_at()


def level_histograms(
    levels: NDArray[np.uint8],
    mask: NDArray[Any] | None = None,
    objects: LevelTruth | None = None,
    judged: Iterable[int] = JUDGED,
    ignored: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Return the number of pixels at each level, int64 (2, 256): all, and those of the true mask.

    With objects the shape is (3, 256): row 2 is the score, in units of `ONE`, if the pixels above
    the level are predicted; `UNJUDGED` at levels that are not in `judged`.

    Args:
        levels: 8-bit probability map (H, W), uint8.
        mask: true mask (H, W), nonzero inside; None for an empty mask.
        objects: the true objects or shape, if the metric compares these.
        judged: levels at which the score is evaluated; 255, above which nothing is, is always
            included.
        ignored: (H, W) pixels that do not count: neither as predicted nor as true; None = all do.

    Raises:
        InputError: the map is not uint8 (H, W), or the mask has another shape or holds floats.

    >>> level_histograms(np.array([[0, 0, 9]], np.uint8), np.array([[0, 1, 1]]))[:, [0, 9]].tolist()
    [[2, 1], [1, 1]]
    """
    if levels.dtype != np.uint8 or levels.ndim != 2:
        raise InputError(
            f"expected a map of 8-bit levels, uint8 (H, W), found {levels.dtype} {levels.shape}. "
            "goldfold.competitions.as_levels makes one of probabilities."
        )
    levels = outside_ignored(levels, ignored)
    histograms = np.zeros((PIXEL_ROWS if objects is None else OBJECT_ROWS, LEVELS), np.int64)
    histograms[0] = _count_levels(levels)
    if mask is not None:
        if mask.shape != levels.shape:
            raise InputError(
                f"expected a mask of the map's shape {levels.shape}, found {mask.shape}."
            )
        if np.issubdtype(mask.dtype, np.inexact):
            raise InputError(
                f"expected a mask of booleans or whole numbers, found {mask.dtype}. Threshold "
                "probabilities first, for example mask > 0.5."
            )
        inside = mask.astype(bool, copy=False)
        histograms[1] = _count_inside(levels, inside if ignored is None else inside & ~ignored)
    if ignored is not None:
        histograms[0, 0] -= np.count_nonzero(ignored)
    if objects is not None:
        scores = objects.scores_above(levels, {*judged, LEVELS - 1})
        histograms[2] = UNJUDGED
        histograms[2, list(scores)] = [round(score * ONE) for score in scores.values()]
    return histograms


def _count_levels(levels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count levels; eight zeros in a row, as in most of a map, are skipped as one word."""
    pixels = np.ascontiguousarray(levels).reshape(-1)
    aligned = pixels.size - pixels.size % _WORD_BYTES
    words = pixels[:aligned].view(np.uint64)
    some = words != 0
    if 2 * int(np.count_nonzero(some)) > words.size:  # skipping would cost more than counting
        return _calc_histogram(pixels)
    busy = words[some].view(np.uint8)
    counts = _calc_histogram(busy) + _calc_histogram(pixels[aligned:])
    counts[0] += aligned - busy.size
    return counts


def _count_inside(levels: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the levels inside a mask; taking out its pixels is faster while it is small."""
    if _SMALL * int(np.count_nonzero(inside)) < inside.size:
        return _calc_histogram(levels[inside])
    pixels, mask = np.ascontiguousarray(levels), np.ascontiguousarray(inside)
    return _calc_histogram(pixels.reshape(-1), mask.reshape(-1).view(np.uint8))


def _calc_histogram(
    pixels: NDArray[np.uint8], mask: NDArray[np.uint8] | None = None
) -> NDArray[np.int64]:
    """Return `np.bincount` of levels (N,), int64 (256,), by OpenCV, which takes a third as long.

    OpenCV gives float32, which is exact up to 2 ** 24, so that many pixels are counted at once.
    """
    counts = np.zeros(LEVELS, np.int64)
    for start in range(0, pixels.size, _EXACT):
        part = slice(start, start + _EXACT)
        where = None if mask is None else mask[None, part]
        of_part = cv2.calcHist([pixels[None, part]], [0], where, [LEVELS], [0, LEVELS])
        counts += of_part.reshape(-1).astype(np.int64)
    return counts


def counts_above(histograms: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the number of pixels above each level b, int64 (..., 256); it is 0 at 255.

    Args:
        histograms: (..., 256) pixels by level.

    >>> counts_above(np.eye(256, dtype=np.int64)[2])[:4].tolist()
    [1, 1, 0, 0]
    """
    above = np.zeros(histograms.shape, np.int64)
    np.cumsum(histograms[..., :0:-1], axis=-1, out=above[..., -2::-1])
    return above


def scores_by_level(histograms: NDArray[np.int64], metric: str) -> Scores:
    """Return each image's score if pixels of level > b are predicted, (N, 256) over b.

    Where the score is a ratio of sums over images, it is what each contributes. With a metric of
    objects it is the score at `judged_levels` of b.

    Args:
        histograms: (N, 2, 256) of `level_histograms`, (N, 3, 256) for a metric of objects.
        metric: name of a metric of masks.

    Raises:
        InputError: the histograms have another shape, or there is no such metric.
    """
    check_histograms(histograms)
    if scored_by_level(metric):
        scores: NDArray[np.float64] = object_scores(histograms)[:, judged_levels(histograms)] / ONE
        return scores
    above = counts_above(histograms)
    true = histograms[:, 1].sum(axis=1)
    return set_scores(metric, above[:, 1], above[:, 0], true[:, None])


def score_by_level(histograms: NDArray[np.int64], metric: str) -> NDArray[np.float64]:
    """Return the score of all images if pixels of level > b are predicted, (256,) over b.

    Args:
        histograms: (N, 2, 256) of `level_histograms`.
        metric: name of a metric of pixel counts.

    Raises:
        InputError: the histograms have another shape, or there is no such metric.
    """
    return level_means(scores_by_level(histograms, metric))


def level_means(scores: Scores) -> NDArray[np.float64]:
    """Return the score of all images together at each level, (256,), from (N, 256)."""
    if isinstance(scores, Ratios):
        return ratio(scores.above.sum(axis=0), scores.below.sum(axis=0))
    means: NDArray[np.float64] = scores.mean(axis=0)
    return means


def object_scores(histograms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the scores by level, (N, 256) in units of `ONE`; `UNJUDGED` where not evaluated.

    Raises:
        InputError: the histograms were made without objects.
    """
    if histograms.shape[1] != OBJECT_ROWS:
        raise InputError("expected histograms with scores of objects, found counts of pixels only.")
    scores: NDArray[np.int64] = histograms[:, 2]
    return scores


def judged_levels(histograms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each level the next level, itself included, evaluated in all images, (256,).

    Without objects this is the level itself.

    Args:
        histograms: (N, 2 or 3, 256).
    """
    levels = np.arange(LEVELS)
    if histograms.shape[1] != OBJECT_ROWS:
        return levels
    judged = (histograms[:, 2] != UNJUDGED).all(axis=0)
    following = np.where(judged, levels, LEVELS - 1)[::-1]
    return np.ascontiguousarray(np.minimum.accumulate(following)[::-1])


def check_histograms(histograms: NDArray[Any]) -> None:
    """Raise an error unless histograms are integers (N, 2, 256) or, with objects, (N, 3, 256).

    Raises:
        InputError: another shape or type, or no image.
    """
    shapes = [(rows, LEVELS) for rows in (PIXEL_ROWS, OBJECT_ROWS)]
    fits = histograms.ndim == 3 and histograms.shape[1:] in shapes and len(histograms)
    if not fits or not np.issubdtype(histograms.dtype, np.integer):
        raise InputError(
            "expected histograms of at least one image, whole numbers (N, 2, 256), "
            f"found {histograms.dtype} {histograms.shape}."
        )
