"""What is done to a mask after the thresholds: small parts, holes, edges, the largest parts."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class PostProcessing:
    """Steps in the order in which they are taken; 0 leaves a step out.

    Attributes:
        min_part_px: parts (connected through sides and corners) of fewer pixels are removed.
        largest: only so many parts are kept, the largest ones.
        fill_holes: 1 to fill background that touches neither the border nor, through sides,
            background that does.
        dilate_px: the mask grows by a disc of this radius.
    """

    min_part_px: int = 0
    largest: int = 0
    fill_holes: int = 0
    dilate_px: int = 0

    def __post_init__(self) -> None:
        """Refuse negative values."""
        if min(getattr(self, field.name) for field in fields(self)) < 0 or self.fill_holes > 1:
            raise InputError(
                "expected post-processing values of 0 or more, and fill_holes 0 or 1, "
                f"found {self}."
            )


NOTHING = PostProcessing()


def post_process(mask: Mask, steps: PostProcessing) -> Mask:
    """Return the mask after the steps, uint8 (H, W) of 0 and 1.

    Args:
        mask: uint8 (H, W) of 0 and 1.
        steps: what to do.

    >>> post_process(np.array([[1, 0, 1, 1]], np.uint8), PostProcessing(min_part_px=2)).tolist()
    [[0, 0, 1, 1]]
    """
    if steps == NOTHING or not mask.any():
        return mask
    if steps.min_part_px or steps.largest:
        mask = _choose_parts(mask, steps.min_part_px, steps.largest)
    if steps.fill_holes:
        mask = _fill_holes(mask)
    if steps.dilate_px:
        mask = cv2.dilate(mask, _disc(steps.dilate_px)).astype(np.uint8, copy=False)
    return mask


def candidates(largest_px: int) -> list[list[PostProcessing]]:
    """Return what is tried, step by step; the first of each step leaves it out.

    Args:
        largest_px: pixels of the largest image; parts of up to a hundredth of it may go.
    """
    sizes = [0]
    size = 4
    while size <= largest_px / 100:
        sizes.append(size)
        size *= 2
    values = {
        "min_part_px": sizes,
        "largest": [0, 1, 2, 3],
        "fill_holes": [0, 1],
        "dilate_px": [0, 1, 2, 3, 5],
    }
    return [
        [replace(NOTHING, **{name: value}) for value in tried] for name, tried in values.items()
    ]


def combine(base: PostProcessing, other: PostProcessing) -> PostProcessing:
    """Return the steps of both; where both have a value for one, that of `other`."""
    changed = {
        step.name: getattr(other, step.name)
        for step in fields(other)
        if getattr(other, step.name) != 0
    }
    return replace(base, **changed)


def _choose_parts(mask: Mask, least_px: int, largest: int) -> Mask:
    count, labels, table, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = table[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the background is no part
    kept = areas >= max(least_px, 1)
    if largest and largest < count - 1:
        # The first of equals, so that the result is one.
        kept &= np.isin(np.arange(count), np.argsort(-areas, kind="stable")[:largest])
    chosen: Mask = kept.astype(np.uint8)[labels]
    return chosen


def _fill_holes(mask: Mask) -> Mask:
    framed = np.pad(mask, 1)
    count, labels = cv2.connectedComponents(1 - framed, connectivity=4)
    if count <= 2:  # the mask and one background
        return mask
    outside = labels[0, 0]
    filled: Mask = (labels != outside).astype(np.uint8)[1:-1, 1:-1]
    return filled


def _disc(radius: int) -> Mask:
    side = np.arange(-radius, radius + 1)
    disc: Mask = (side[:, None] ** 2 + side[None] ** 2 <= radius**2).astype(np.uint8)
    return disc
