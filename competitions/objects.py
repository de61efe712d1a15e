"""Objects of masks, and the score of predicted objects against true ones.

A predicted object is a connected part of the mask (through sides and corners); a true object is a
row of the label table. A predicted object is a hit at a threshold t if its IoU with some true
object exceeds t. The thresholds are at least 0.5, so no two parts of a mask can hit the same true
object: each would cover more than half of it. So every hit has its own true object, and no
assignment is needed. If true objects overlap, a part may exceed t with several of them; that is one
hit, and the others are missed.

The scores themselves are in `goldfold.competitions.object_metric`.

Source: Airbus Ship Detection Challenge, evaluation page (2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.images_table import OBJECT_JOINT
from goldfold.competitions.object_metric import F2, OBJECT_SCORES, thresholds_exceeded
from goldfold.competitions.pixel_runs import Order, Runs, runs_of_mask
from goldfold.competitions.rle import Dialect, area_px, intersection_px, parse
from goldfold.errors import InputError

IntArray = NDArray[np.int64]

CONNECTIVITY = 8
"""Pixels that touch at a side or a corner belong to the same object."""

_WORTHWHILE = 0.8
"""A map is cropped if at most this share of it remains."""


@dataclass(frozen=True)
class TrueObjects:
    """The pixels of an image's true objects, object by object.

    Attributes:
        rows: (K,) row of each pixel.
        columns: (K,) column of each pixel.
        areas: (T,) area of each object in pixels.
        metric: name of the metric of objects.
    """

    rows: IntArray
    columns: IntArray
    areas: IntArray
    metric: str = F2

    def __len__(self) -> int:
        return len(self.areas)

    def scores_above(self, levels: NDArray[np.uint8], at: Iterable[int]) -> dict[int, float]:
        """Return level b -> score of the image if pixels of level > b are predicted."""
        return scores_above(levels, self, at)


def read_objects(
    text: str, height: int, width: int, dialect: Dialect, metric: str = F2
) -> TrueObjects:
    """Return the objects of a cell in the column `objects` of images.csv.

    Args:
        text: run-length encodings joined by `OBJECT_JOINT`; "" for no object.
        height: height of the image in pixels.
        width: width of the image in pixels.
        dialect: run-length dialect of the encodings.
        metric: name of the metric of objects.

    Raises:
        MalformedRunsError: a mask is malformed or extends beyond the image.
    """
    cells = text.split(OBJECT_JOINT) if text else []
    runs = [parse(cell, dialect, pixels=height * width) for cell in cells]
    places = np.concatenate([np.empty(0, np.int64), *(_pixels(runs) for runs in runs)])
    lines, along = np.divmod(places, height if dialect.order == "column" else width)
    rows, columns = (along, lines) if dialect.order == "column" else (lines, along)
    areas = np.array([area_px(runs) for runs in runs], np.int64)
    return TrueObjects(rows, columns, areas, metric)


def _pixels(runs: Runs) -> IntArray:
    before = np.cumsum(runs.lengths) - runs.lengths
    return np.repeat(runs.starts - before, runs.lengths) + np.arange(area_px(runs))


def scores_above(
    levels: NDArray[np.uint8], objects: TrueObjects, at: Iterable[int]
) -> dict[int, float]:
    """Return level b -> score of the image if pixels of level > b are predicted.

    A level that does not change the mask is not evaluated again, and neighbouring rows and columns
    without predicted pixels are collapsed to one.

    Args:
        levels: 8-bit probability map (H, W).
        objects: the true objects.
        at: levels b, 0 to 255.

    Raises:
        InputError: an object extends beyond the map.
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
            kept = levels[rows, columns] > level  # the others are not above later levels either
            rows, columns, owners = rows[kept], columns[kept], owners[kept]
            used = _used(mask, 1), _used(mask, 0)
            if pixels and used[0].sum() * used[1].sum() < _WORTHWHILE * mask.size:
                levels = levels[used[0]][:, used[1]]
                mask = (levels > level).view(np.uint8)
                rows, columns = (used[0].cumsum() - 1)[rows], (used[1].cumsum() - 1)[columns]
            exceeded = _exceeded(mask, pixels, rows, columns, owners, objects.areas)
            score = OBJECT_SCORES[objects.metric](exceeded, len(objects.areas))
        scores[level] = score
    return scores


def _used(mask: NDArray[np.uint8], axis: int) -> NDArray[np.bool_]:
    """Return which rows (axis 1) or columns (axis 0) contain a pixel or follow one that does.

    Dropping the others does not change which pixels touch, as every gap remains a gap.
    """
    busy = np.asarray(mask.view(np.bool_).any(axis=axis))
    busy[1:] |= busy[:-1].copy()
    return busy


def mask_score(mask: NDArray[np.uint8], objects: TrueObjects) -> float:
    """Return the score of a mask, uint8 (H, W) of 0 and 1.

    Raises:
        InputError: an object extends beyond the mask.
    """
    return scores_above(mask, objects, [0])[0]


def _exceeded(
    mask: NDArray[np.uint8],
    pixels: int,
    rows: IntArray,
    columns: IntArray,
    owners: IntArray,
    areas: IntArray,
) -> IntArray:
    """Return how many thresholds each part of a mask exceeds, (P,).

    Where nothing can be hit, the number of parts has no effect but that there are some.

    Args:
        mask: (H, W) of 0 and 1.
        pixels: number of pixels in the mask.
        rows: (K,) rows of the true objects' predicted pixels, object by object.
        columns: (K,) columns of these pixels.
        owners: (K,) object of each of these pixels.
        areas: (T,) area of each true object in pixels.
    """
    if not pixels or not len(areas):  # there can be no hit, whatever the number of parts
        return np.zeros(int(pixels > 0), np.int64)
    count, labels = cv2.connectedComponents(mask, connectivity=CONNECTIVITY, ltype=cv2.CV_32S)
    bounds = np.searchsorted(owners, np.arange(len(areas) + 1))
    labels_of_pixels = labels[rows, columns]
    shared_px, parts = np.zeros(len(areas), np.int64), np.zeros(len(areas), np.int64)
    for number, (first, last) in enumerate(pairwise(bounds)):
        shared = np.bincount(labels_of_pixels[first:last], minlength=1)
        parts[number] = shared.argmax()
        shared_px[number] = shared[parts[number]]
    near = np.flatnonzero(2 * shared_px > areas)  # no other part can hit
    sizes = {part: np.count_nonzero(labels == part) for part in np.unique(parts[near]).tolist()}
    union = np.array([sizes[part] for part in parts[near].tolist()], np.int64)
    union += areas[near] - shared_px[near]
    exceeded = np.zeros(count, np.int64)
    np.maximum.at(exceeded, parts[near], thresholds_exceeded(shared_px[near], union))
    return exceeded[1:]


def runs_score(predicted: Sequence[Runs], true: Sequence[Runs], metric: str = F2) -> float:
    """Return the score of objects that do not overlap against true ones, without decoding them.

    All must count their pixels in the same order.

    Args:
        predicted: objects.
        true: objects.
        metric: name of a metric of objects.
    """
    true_px = np.array([area_px(runs) for runs in true], np.int64)
    exceeded = []
    for runs in predicted:
        shared = np.array([intersection_px(runs, true_runs) for true_runs in true], np.int64)
        union = area_px(runs) + true_px - shared
        exceeded.append(int(thresholds_exceeded(shared, union).max(initial=0)))
    return OBJECT_SCORES[metric](np.array(exceeded, np.int64), len(true))


def runs_of_objects(mask: NDArray[Any], order: Order) -> list[Runs]:
    """Return the runs of each object of a mask, sorted by first pixel.

    Args:
        mask: (H, W), nonzero inside.
        order: order in which the pixels are counted.
    """
    count, labels, table, _ = cv2.connectedComponentsWithStats(
        (mask != 0).astype(np.uint8), connectivity=CONNECTIVITY, ltype=cv2.CV_32S
    )
    alone = np.zeros(mask.shape, np.uint8)
    runs_of_parts = []
    for part in range(1, count):
        left, top, width, height = table[part, :4]
        box = slice(top, top + height), slice(left, left + width)
        alone[box] = labels[box] == part
        runs_of_parts.append(runs_of_mask(alone, order))
        alone[box] = 0
    return sorted(runs_of_parts, key=lambda runs: int(runs.starts[0]))
