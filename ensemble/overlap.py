"""Dice, IoU, precision and recall of honest masks: over pixels, over images, by fold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.ensemble.threshold import Rule, rule_counts

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


MEASURES = ("dice", "iou", "precision", "recall")


def overlap(intersection: IntArray, predicted: IntArray, true: IntArray) -> dict[str, FloatArray]:
    """Return each of `MEASURES` of each image: 1 where both masks are empty, 0 where only one is.

    >>> overlaps = overlap(np.array([3, 0]), np.array([4, 0]), np.array([6, 0]))
    >>> [float(overlaps[name][0]) for name in ("dice", "precision", "recall")], overlaps["iou"][1]
    ([0.6, 0.75, 0.5], np.float64(1.0))

    Args:
        intersection: pixels in both masks.
        predicted: pixels of the predicted mask.
        true: pixels of the true mask.
    """
    total = predicted + true
    ratios = {
        "dice": (2 * intersection, total),
        "iou": (intersection, total - intersection),
        "precision": (intersection, predicted),
        "recall": (intersection, true),
    }
    return {
        name: np.where(total == 0, 1.0, above / np.maximum(below, 1))
        for name, (above, below) in ratios.items()
    }


def overlap_table(
    histograms: IntArray,
    folds: IntArray,
    rules: Mapping[int, Rule],
    presence: IntArray | None = None,
) -> pd.DataFrame:
    """Return the measures over pixels and over images, for each fold and for all.

    Over pixels all images are one; over images the measures are means.

    Columns: fold (text, "all" for all), over (`images` or `pixels`), images, dice, iou, precision,
    recall.

    Args:
        histograms: (N, 2 or 3, 256) of out-of-fold maps.
        folds: (N,) fold (or part of the only fold) of each image.
        rules: by fold, the rule that was chosen without it.
        presence: (N,) levels; needed where rules have a gate.
    """
    counts = np.zeros((len(folds), 3), np.int64)
    for fold, rule in rules.items():
        here = folds == fold
        levels = None if presence is None else presence[here]
        counts[here] = rule_counts(histograms[here], rule, levels)
    rows = []
    for name, here in [
        *((str(fold), folds == fold) for fold in rules),
        ("all", np.ones(len(folds), bool)),
    ]:
        single = overlap(*counts[here].T)
        pooled = overlap(*counts[here].sum(axis=0)[:, None])
        for over, values_of in (("images", single), ("pixels", pooled)):
            values = [float(values_of[measure].mean()) for measure in MEASURES]
            rows.append([name, over, int(here.sum()), *values])
    return pd.DataFrame(rows, columns=["fold", "over", "images", *MEASURES])
