"""Scores of the shape of a mask: Dice with the Hausdorff distance, or the user's own function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.own_metric import own_mask_score
from goldfold.metric_names import parse_metric
from goldfold.own_code import is_reference

Mask = NDArray[np.uint8]

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
"""A pixel is at the boundary if one of its four neighbours is outside the mask."""


@dataclass(frozen=True, eq=False)
class TrueShape:
    """The true mask of an image, for a metric that looks at masks and not at counts.

    Attributes:
        mask: uint8 (H, W) of 0 and 1.
        metric: name of a metric of shapes with its parameters, or a bound `module:object`.
    """

    mask: Mask
    metric: str

    def scores_above(self, levels: NDArray[np.uint8], at: Iterable[int]) -> dict[int, float]:
        """Return level b -> score of the image if pixels of level > b are predicted.

        Args:
            levels: 8-bit probability map (H, W).
            at: levels b, 0 to 255; one that does not change the mask is not evaluated again.
        """
        score_of = self._score()
        scores: dict[int, float] = {}
        score, pixels = 0.0, -1
        for level in sorted(at):
            mask = (levels > level).view(np.uint8)
            if (above := cv2.countNonZero(mask) if mask.size else 0) != pixels:
                pixels, score = above, score_of(mask)
            scores[level] = score
        return scores

    def _score(self) -> Callable[[Mask], float]:
        if is_reference(self.metric):
            return lambda mask: own_mask_score(self.metric, self.mask, mask)
        call = parse_metric(self.metric)
        weight, nothing = call.number("dice_weight"), call.number("both_empty")
        return lambda mask: dice_hausdorff(self.mask, mask, weight, nothing)


def dice_hausdorff(true: Mask, predicted: Mask, dice_weight: float, both_empty: float) -> float:
    """Return w Dice + (1 - w) (1 - Hausdorff distance / diagonal of the image), 0 to 1.

    An empty mask against another one scores 0.

    Args:
        true: (H, W) of 0 and 1.
        predicted: of the same shape.
        dice_weight: w.
        both_empty: the score of two empty masks.

    Source: UW-Madison GI Tract Image Segmentation, evaluation page (2022), which measures the
    distance in the volume of a day and not in each slice.
    """
    true_px, predicted_px = cv2.countNonZero(true), cv2.countNonZero(predicted)
    if not true_px and not predicted_px:
        return both_empty
    if not true_px or not predicted_px:
        return 0.0
    dice = 2 * cv2.countNonZero(true & predicted) / (true_px + predicted_px)
    diagonal = float(np.hypot(*true.shape))
    near = 1 - hausdorff_px(true, predicted) / diagonal
    return dice_weight * dice + (1 - dice_weight) * near


def hausdorff_px(first: Mask, second: Mask) -> float:
    """Return the Hausdorff distance of the boundaries of two masks in pixels, between centres.

    It is the largest distance of a boundary pixel of either mask from the nearest one of the other.

    Args:
        first: (H, W) of 0 and 1, not empty.
        second: of the same shape, not empty.
    """
    left, top, width, height = cv2.boundingRect(first | second)
    box = slice(top, top + height), slice(left, left + width)
    edges = [_boundary(np.ascontiguousarray(mask[box])) for mask in (first, second)]
    furthest = 0.0
    for edge, other in (edges, edges[::-1]):
        squares = cv2.distanceTransform(1 - other, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) ** 2
        # Squared distances of pixels are whole numbers, which float32 misses by little.
        furthest = max(furthest, float(np.rint(squares[edge > 0].max())))
    return float(np.sqrt(furthest))


def _boundary(mask: Mask) -> Mask:
    """Return the pixels of a mask with a neighbour outside it; outside the image all is."""
    inner = cv2.erode(mask, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(mask & ~inner & 1, np.uint8)
