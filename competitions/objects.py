"""Objects of masks, and the score of predicted objects against true ones.

A predicted object is a connected part of the mask, through sides and corners; a true object is a
row of the label table. A predicted object hits at a threshold t if its IoU with some true object
exceeds t. The thresholds are 0.5 and more, where no two parts of a mask can hit one true object:
each would hold more than half of it. So every hit has a true object of its own, and no assignment
is to be found. Where true objects overlap, a part may exceed t with several; it then hits once,
and the others are missed.

At each threshold F2 = 5 TP / (5 TP + 4 FN + FP) = 5 TP / (4 T + P) with T true and P predicted
objects. Its mean over the ten thresholds 0.50, 0.55, ... 0.95 is hits / (2 (4 T + P)), where
`hits` counts the thresholds that the predicted objects exceed, all together.

Source: Airbus Ship Detection Challenge, evaluation page (2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from goldfold.competitions.images_table import OBJECT_JOINT
from goldfold.competitions.rle import Dialect, area_px, intersection_px, parse
from goldfold.competitions.runs import Order, Runs, runs_of_mask
from goldfold.errors import InputError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

CONNECTIVITY = 8
"""Pixels that touch by a side or a corner belong to one object."""

_WORTHWHILE = 0.8
"""A map is made smaller where no more than this share of it is left."""


def f2_iou_thresholds(hits: ArrayLike, predicted: ArrayLike, true: ArrayLike) -> FloatArray:
    """Return the mean F2 of each image; 1 without any object, 0 with true or predicted ones only.

    The whole numbers broadcast against each other.

    Args:
        hits: thresholds that predicted objects exceed, summed over them.
        predicted: predicted objects.
        true: true objects.

    >>> f2_iou_thresholds([10, 0, 0, 5], [1, 0, 3, 1], [1, 0, 0, 2]).round(4).tolist()
    [1.0, 1.0, 0.0, 0.2778]
    """
    hits, weight = np.asarray(hits), 4 * np.asarray(true) + np.asarray(predicted)
    return np.where(weight == 0, 1.0, hits / np.maximum(2 * weight, 1))


def thresholds_exceeded(intersection: IntArray, union: IntArray) -> IntArray:
    """Return how many of 0.50, 0.55, ... 0.95 each IoU exceeds; unions are not empty.

    Computed in whole numbers: IoU > m / 20 exactly when m < 20 I / U.

    >>> thresholds_exceeded(np.array([5, 51, 9]), np.array([10, 100, 9])).tolist()
    [0, 1, 10]
    """
    exceeded: IntArray = np.clip(-(-20 * intersection // union) - 10, 0, 10)
    return exceeded


@dataclass(frozen=True)
class TrueObjects:
    """The pixels of an image's true objects, object by object.

    Attributes:
        rows: (K,) of the pixels.
        columns: (K,).
        areas: (T,) pixels of each object.
    """

    rows: IntArray
    columns: IntArray
    areas: IntArray

    def __len__(self) -> int:
        return len(self.areas)


def read_objects(text: str, height: int, width: int, dialect: Dialect) -> TrueObjects:
    """Return the objects of a cell of images.csv's column `objects`.

    Args:
        text: run-length encodings joined by `OBJECT_JOINT`; "" for no object.
        height: of the image.
        width: of the image.
        dialect: of the encodings.

    Raises:
        MalformedRunsError: a mask is malformed or reaches beyond the image.
    """
    cells = text.split(OBJECT_JOINT) if text else []
    runs = [parse(cell, dialect, pixels=height * width) for cell in cells]
    places = np.concatenate([np.empty(0, np.int64), *(_pixels(one) for one in runs)])
    lines, along = np.divmod(places, height if dialect.order == "column" else width)
    rows, columns = (along, lines) if dialect.order == "column" else (lines, along)
    return TrueObjects(rows, columns, np.array([area_px(one) for one in runs], np.int64))


def _pixels(runs: Runs) -> IntArray:
    before = np.cumsum(runs.lengths) - runs.lengths
    return np.repeat(runs.starts - before, runs.lengths) + np.arange(area_px(runs))


def scores_above(
    levels: NDArray[np.uint8], objects: TrueObjects, at: Iterable[int]
) -> dict[int, float]:
    """Return the image's score when pixels of level > b are predicted, for some levels b.

    Nothing is looked at anew where a level changes nothing, and of rows and columns with nothing
    above it, all but one beside each other are left out.

    Args:
        levels: 8-bit probability map (H, W).
        objects: the true ones.
        at: levels b of 0 to 255.

    Raises:
        InputError: an object reaches beyond the map.
    """
    height, width = levels.shape
    if np.any(objects.rows >= height) or np.any(objects.columns >= width):
        raise InputError(f"expected objects inside the map of {height} x {width} pixels.")
    rows, columns = objects.rows, objects.columns
    owners = np.repeat(np.arange(len(objects)), objects.areas)
    scores: dict[int, float] = {}
    score, pixels = 0.0, -1
    for level in sorted(at):
        mask = (levels > level).view(np.uint8)
        if (above := cv2.countNonZero(mask) if mask.size else 0) != pixels:
            pixels = above
            kept = levels[rows, columns] > level  # what is not is above no later level either
            rows, columns, owners = rows[kept], columns[kept], owners[kept]
            used = _used(mask, 1), _used(mask, 0)
            if pixels and used[0].sum() * used[1].sum() < _WORTHWHILE * mask.size:
                levels = levels[used[0]][:, used[1]]
                mask = (levels > level).view(np.uint8)
                rows, columns = (used[0].cumsum() - 1)[rows], (used[1].cumsum() - 1)[columns]
            score = _score(mask, pixels, rows, columns, owners, objects.areas)
        scores[level] = score
    return scores


def _used(mask: NDArray[np.uint8], axis: int) -> NDArray[np.bool_]:
    """Return which rows (axis 1) or columns (0) hold a pixel or follow one that does.

    Without the others the same pixels touch: a gap stays a gap.
    """
    busy = np.asarray(mask.view(np.bool_).any(axis=axis))
    busy[1:] |= busy[:-1].copy()
    return busy


def mask_score(mask: NDArray[np.uint8], objects: TrueObjects) -> float:
    """Return the score of a mask, uint8 (H, W) of 0 and 1.

    Raises:
        InputError: an object reaches beyond the mask.
    """
    return scores_above(mask, objects, [0])[0]


def _score(
    mask: NDArray[np.uint8],
    pixels: int,
    rows: IntArray,
    columns: IntArray,
    owners: IntArray,
    areas: IntArray,
) -> float:
    """Return the score of a mask.

    Args:
        mask: (H, W) of 0 and 1.
        pixels: of the mask.
        rows: (K,) of the true objects' pixels that are predicted, object by object.
        columns: (K,).
        owners: (K,) object of each.
        areas: (T,) pixels of all true objects.
    """
    if not pixels or not len(areas):  # no part can hit, and how many there are is all the same
        return float(f2_iou_thresholds(0, int(pixels > 0), len(areas)))
    count, labels = cv2.connectedComponents(mask, connectivity=CONNECTIVITY, ltype=cv2.CV_32S)
    bounds = np.searchsorted(owners, np.arange(len(areas) + 1))
    found = labels[rows, columns]
    shared_px, parts = np.zeros(len(areas), np.int64), np.zeros(len(areas), np.int64)
    for number, (first, last) in enumerate(pairwise(bounds)):
        shared = np.bincount(found[first:last], minlength=1)
        parts[number] = shared.argmax()
        shared_px[number] = shared[parts[number]]
    near = np.flatnonzero(2 * shared_px > areas)  # no other part can hit
    sizes = {part: np.count_nonzero(labels == part) for part in np.unique(parts[near]).tolist()}
    union = np.array([sizes[part] for part in parts[near].tolist()], np.int64)
    union += areas[near] - shared_px[near]
    exceeded = np.zeros(count, np.int64)
    np.maximum.at(exceeded, parts[near], thresholds_exceeded(shared_px[near], union))
    return float(f2_iou_thresholds(exceeded.sum(), count - 1, len(areas)))


def runs_score(predicted: Sequence[Runs], true: Sequence[Runs]) -> float:
    """Return the score of objects that do not overlap against true ones, without decoding any.

    All count their pixels along the same order.
    """
    hits = 0
    for one in predicted:
        shared = np.array([intersection_px(one, other) for other in true], np.int64)
        union = np.array([area_px(one) + area_px(other) for other in true], np.int64) - shared
        hits += int(thresholds_exceeded(shared, union).max(initial=0))
    return float(f2_iou_thresholds(hits, len(predicted), len(true)))


def runs_of_objects(mask: NDArray[Any], order: Order) -> list[Runs]:
    """Return the runs of each object of a mask, by their first pixels along the order.

    Args:
        mask: (H, W); anything but 0 belongs to it.
        order: along which the pixels are counted.
    """
    count, labels, table, _ = cv2.connectedComponentsWithStats(
        (mask != 0).astype(np.uint8), connectivity=CONNECTIVITY, ltype=cv2.CV_32S
    )
    alone = np.zeros(mask.shape, np.uint8)
    found = []
    for part in range(1, count):
        left, top, width, height = table[part, :4]
        box = slice(top, top + height), slice(left, left + width)
        alone[box] = labels[box] == part
        found.append(runs_of_mask(alone, order))
        alone[box] = 0
    return sorted(found, key=lambda runs: int(runs.starts[0]))
