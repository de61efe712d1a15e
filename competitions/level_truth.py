"""What judges a map level by level, where the score does not follow from counts of pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.metric import OBJECT_METRICS, scored_by_level
from goldfold.competitions.object_metric import F2
from goldfold.competitions.objects import read_objects
from goldfold.competitions.rle import Dialect
from goldfold.competitions.shapes import TrueShape
from goldfold.metric_names import metric_name


class LevelTruth(Protocol):
    """The truth about an image: its objects, or the shape of its mask."""

    def scores_above(self, levels: NDArray[np.uint8], at: Iterable[int]) -> dict[int, float]:
        """Return level b -> score of the image, 0 to 1, if pixels of level > b are predicted."""


def judges_levels(metric: str, objects: Sequence[str] | None) -> bool:
    """Return whether maps are judged level by level: by objects, or by the shape of masks.

    Args:
        metric: name of a metric of masks, with its parameters.
        objects: cells of the column `objects` of images.csv, None without.
    """
    return objects is not None or scored_by_level(metric)


def level_truth(
    metric: str,
    cell: str | None,
    mask: NDArray[Any] | None,
    size: tuple[int, int],
    dialect: Dialect,
) -> LevelTruth | None:
    """Return what judges an image level by level, None where counts of pixels suffice.

    Args:
        metric: name of a metric of masks, with its parameters.
        cell: of the column `objects` of images.csv, None without.
        mask: true mask (H, W), None for an empty one.
        size: (height, width).
        dialect: of the objects.

    Raises:
        MalformedRunsError: an object is malformed or extends beyond the image.
    """
    if cell is not None:
        name = metric_name(metric)
        return read_objects(cell, *size, dialect, name if name in OBJECT_METRICS else F2)
    if not scored_by_level(metric):
        return None
    truth = np.zeros(size, np.uint8) if mask is None else (mask != 0).astype(np.uint8)
    return TrueShape(truth, metric)


def truth_score(truth: LevelTruth, mask: NDArray[np.uint8]) -> float:
    """Return the score of a mask, uint8 (H, W) of 0 and 1."""
    return truth.scores_above(mask, [0])[0]
