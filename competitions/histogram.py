"""Two 256-bin histograms an image, from which every score at every threshold follows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.metric import image_scores
from goldfold.errors import InputError

LEVELS = 256

_WORD_BYTES = 8


def level_histograms(
    levels: NDArray[np.uint8], mask: NDArray[Any] | None = None
) -> NDArray[np.int64]:
    """Return how many pixels have each level, int64 (2, 256): row 0 all, row 1 of the true mask.

    Args:
        levels: 8-bit probability map (H, W), uint8.
        mask: true mask (H, W), anything but 0 belongs to it; None for an empty mask.

    Raises:
        InputError: the map is not uint8 (H, W), or the mask has another shape.

    >>> level_histograms(np.array([[0, 0, 9]], np.uint8), np.array([[0, 1, 1]]))[:, [0, 9]].tolist()
    [[2, 1], [1, 1]]
    """
    if levels.dtype != np.uint8 or levels.ndim != 2:
        raise InputError(
            f"expected a map of 8-bit levels, uint8 (H, W), found {levels.dtype} {levels.shape}."
        )
    histograms = np.zeros((2, LEVELS), np.int64)
    histograms[0] = _count_levels(levels)
    if mask is not None:
        if mask.shape != levels.shape:
            raise InputError(
                f"expected a mask of the map's shape {levels.shape}, found {mask.shape}."
            )
        histograms[1] = np.bincount(levels[mask.astype(bool, copy=False)], minlength=LEVELS)
    return histograms


def _count_levels(levels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count levels; eight zeros in a row, most of a map, are passed over as one word."""
    pixels = np.ascontiguousarray(levels).reshape(-1)
    whole = pixels.size - pixels.size % _WORD_BYTES
    words = pixels[:whole].view(np.uint64)
    busy = words[words != 0].view(np.uint8)
    counts = np.bincount(busy, minlength=LEVELS)
    counts += np.bincount(pixels[whole:], minlength=LEVELS)
    counts[0] += whole - busy.size
    return counts


def counts_above(histograms: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the pixels whose level exceeds b for every b, int64 (..., 256); at 255 there are none.

    Args:
        histograms: (..., 256) pixels by level.

    >>> counts_above(np.eye(256, dtype=np.int64)[2])[:4].tolist()
    [1, 1, 0, 0]
    """
    above = np.zeros(histograms.shape, np.int64)
    np.cumsum(histograms[..., :0:-1], axis=-1, out=above[..., -2::-1])
    return above


def scores_by_level(histograms: NDArray[np.int64], metric: str) -> NDArray[np.float64]:
    """Return each image's score when pixels of level > b are predicted, (N, 256) over b.

    Args:
        histograms: (N, 2, 256) of `level_histograms`.
        metric: name of a metric of pixel counts.

    Raises:
        InputError: the histograms have another shape, or there is no such metric.
    """
    check_histograms(histograms)
    above = counts_above(histograms)
    true = histograms[:, 1].sum(axis=1)
    return image_scores(metric, above[:, 1], above[:, 0], true[:, None])


def score_by_level(histograms: NDArray[np.int64], metric: str) -> NDArray[np.float64]:
    """Return the mean score over images when pixels of level > b are predicted, (256,) over b.

    Args:
        histograms: (N, 2, 256) of `level_histograms`.
        metric: name of a metric of pixel counts.

    Raises:
        InputError: the histograms have another shape, or there is no such metric.
    """
    means: NDArray[np.float64] = scores_by_level(histograms, metric).mean(axis=0)
    return means


def check_histograms(histograms: NDArray[Any]) -> None:
    """Accept whole-numbered histograms (N, 2, 256) with N of at least 1.

    Raises:
        InputError: anything else.
    """
    fits = histograms.ndim == 3 and histograms.shape[1:] == (2, LEVELS) and len(histograms)
    if not fits or not np.issubdtype(histograms.dtype, np.integer):
        raise InputError(
            "expected histograms of at least one image, whole numbers (N, 2, 256), "
            f"found {histograms.dtype} {histograms.shape}."
        )
