"""Class maps: one class per pixel, as one number per pixel and as one run-length mask per class."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.rle import Dialect, area_px, decode, is_empty, merge_runs, parse

BACKGROUND = 0
"""Number of the pixels that no mask paints."""
IGNORED_NUMBER = 255
"""Number of the pixels that neither loss nor metric looks at."""

ClassMap = NDArray[np.uint8]


def paint(
    masks: Sequence[str], numbers: Sequence[int], height: int, width: int, dialect: Dialect
) -> ClassMap:
    """Return the class map of an image, uint8 (H, W); what no mask paints is `BACKGROUND`.

    Args:
        masks: run-length encodings, "" for an empty one; they do not overlap.
        numbers: what each of them paints.
        height: of the image, in pixels.
        width: of the image, in pixels.
        dialect: of the encodings.

    Raises:
        RunLengthError: an encoding is malformed or does not fit into the image.

    >>> from goldfold.competitions.rle import get_dialect
    >>> paint(["1 2", "4 1"], [3, 255], 1, 4, get_dialect("kaggle")).tolist()
    [[3, 3, 0, 255]]
    """
    class_map = np.zeros((height, width), np.uint8)
    for text, number in zip(masks, numbers, strict=True):
        if text:
            class_map[decode(text, height, width, dialect, name="mask") > 0] = number
    return class_map


def overlapping_classes(
    masks: Sequence[str], classes: Sequence[str], dialect: Dialect
) -> list[tuple[str, str]]:
    """Return the pairs of classes whose masks share a pixel.

    Args:
        masks: run-length encodings of one image, "" for an empty one.
        classes: of each mask.
        dialect: of the encodings.
    """
    runs = [
        (name, parse(text, dialect))
        for name, text in zip(classes, masks, strict=True)
        if not is_empty(text)
    ]
    return [
        (first, second)
        for (first, first_runs), (second, second_runs) in combinations(runs, 2)
        if area_px(merge_runs([first_runs, second_runs]))
        < area_px(first_runs) + area_px(second_runs)
    ]
