"""Exactly one class per pixel: the most likely one, if its area suffices; and the choice of areas.

A class that is the most likely one of fewer pixels than its least area is dropped from the image:
each of these pixels goes to its second most likely class, or to the background where that one is
dropped, too. So what an image scores under any areas follows from how many of its pixels have which
most likely, second most likely and true class. These counts are taken once; no search touches a
pixel again.

Areas are searched class by class. For one class an image has two scores, with it and without it,
and cumulative sums over the images sorted by its area give the mean score of every least area: the
search of one class is exact, given the others. It goes around the classes until none improves. That
is a search of coordinates, so that a better combination of several areas may exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_maps import BACKGROUND, IGNORED_NUMBER
from goldfold.competitions.metric import set_scores
from goldfold.competitions.scores import Ratios, Scores, ratio

Levels = NDArray[np.uint8]
ClassMap = NDArray[np.uint8]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_MOST_BINS = 1 << 20
_ROUNDS = 5
_GAIN = 1e-12
"""Mean scores that differ less are equal: the smaller area counts."""


def most_likely(levels: Levels) -> tuple[ClassMap, ClassMap]:
    """Return the most and the second most likely class of each pixel; ties go to the lower number.

    Args:
        levels: 8-bit maps of at least two classes, uint8 (C, H, W).

    >>> first, second = most_likely(np.array([[[9, 1]], [[3, 7]], [[4, 7]]], np.uint8))
    >>> first.tolist(), second.tolist()
    ([[0, 1]], [[2, 2]])
    """
    # Level and class in one number, so that two maxima of 16 bits tell both.
    best = levels[0].astype(np.uint16) * np.uint16(256) + np.uint16(255)
    next_best = np.zeros_like(best)
    for number in range(1, len(levels)):
        key = levels[number].astype(np.uint16) * np.uint16(256) + np.uint16(255 - number)
        np.maximum(next_best, np.minimum(best, key), out=next_best)
        np.maximum(best, key, out=best)
    first, second = (255 - (keys & np.uint16(255)).astype(np.uint8) for keys in (best, next_best))
    return first, second


def decide(first: ClassMap, second: ClassMap, least_areas: Sequence[int]) -> ClassMap:
    """Return the class of each pixel, uint8 (H, W).

    Args:
        first: most likely class of each pixel.
        second: second most likely class.
        least_areas: in pixels, by class; that of the background is not looked at.

    >>> decide(np.array([[1, 1, 2]], np.uint8), np.array([[0, 0, 1]], np.uint8), [0, 0, 2]).tolist()
    [[1, 1, 1]]
    """
    dropped = _dropped(np.bincount(first.ravel(), minlength=len(least_areas)), least_areas)
    kept_second = np.where(dropped[second], np.uint8(BACKGROUND), second)
    return np.where(dropped[first], kept_second, first)


def _dropped(areas: IntArray, least_areas: Sequence[int] | IntArray) -> NDArray[np.bool_]:
    dropped = areas < np.asarray(least_areas)
    dropped[..., BACKGROUND] = False
    return dropped


@dataclass(frozen=True)
class ClassCounts:
    """Pixels of N images by their most likely, second most likely and true class.

    Attributes:
        image: int64 (E,) place of the image of each entry.
        first: int64 (E,) most likely class.
        second: int64 (E,) second most likely class.
        true: int64 (E,) true class; pixels without one are in no entry.
        count: int64 (E,) pixels.
        areas: int64 (N, C) pixels by most likely class, those without a true class included.
    """

    image: IntArray
    first: IntArray
    second: IntArray
    true: IntArray
    count: IntArray
    areas: IntArray

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.areas)

    @property
    def classes(self) -> int:
        """Number of classes, the background included."""
        return int(self.areas.shape[1])

    def of(self, chosen: NDArray[np.bool_]) -> ClassCounts:
        """Return those of some images, (N,)."""
        inside = chosen[self.image]
        place = np.cumsum(chosen) - 1
        return ClassCounts(
            place[self.image[inside]],
            self.first[inside],
            self.second[inside],
            self.true[inside],
            self.count[inside],
            self.areas[chosen],
        )

    def decided(self, least_areas: IntArray) -> IntArray:
        """Return the class that the pixels of each entry get, (E,).

        Args:
            least_areas: (C,) of all images, or (N, C).
        """
        dropped = _dropped(self.areas, least_areas)
        second = np.where(dropped[self.image, self.second], BACKGROUND, self.second)
        return np.where(dropped[self.image, self.first], second, self.first)

    def pixels(self, least_areas: IntArray) -> IntArray:
        """Return pixels in both, predicted and true, int64 (N, 3, C); arguments as `decided`."""
        decided = self.decided(least_areas)
        right = decided == self.true
        counts = [
            np.bincount(
                self.image[some] * self.classes + numbers[some],
                weights=self.count[some],
                minlength=len(self) * self.classes,
            )
            for numbers, some in (
                (decided, right),
                (decided, slice(None)),
                (self.true, slice(None)),
            )
        ]
        by_image = np.stack([table.reshape(len(self), self.classes) for table in counts], axis=1)
        return by_image.astype(np.int64)

    def confusion(self, least_areas: IntArray) -> IntArray:
        """Return pixels by true class (rows) and decided class, int64 (C, C)."""
        places = self.true * self.classes + self.decided(least_areas)
        counts = np.bincount(places, weights=self.count, minlength=self.classes**2)
        return counts.reshape(self.classes, self.classes).astype(np.int64)

    def scores(self, metric: str, least_areas: IntArray) -> Scores:
        """Return the score of each image, (N,); arguments as `class_scores` and `decided`."""
        return class_scores(metric, self.pixels(least_areas))


def class_scores(metric: str, pixels: IntArray) -> Scores:
    """Return the score of each image, (N,): the mean over its classes but the background.

    A class that an image neither has nor gets scores 1, unless the metric says otherwise. Where
    the score is a ratio of sums over images, each class has its own, (N, C - 1), and their mean is
    the score.

    Args:
        metric: name of a metric of pixel counts, or a bound reference.
        pixels: in both, predicted and true, by class, int64 (N, 3, C).
    """
    classes = slice(BACKGROUND + 1, None)
    scores = set_scores(metric, *(pixels[:, row, classes] for row in range(3)))
    if isinstance(scores, Ratios):
        return scores
    means: FloatArray = scores.mean(axis=1)
    return means


def pixels_of_map(decided: ClassMap, true: ClassMap, classes: int) -> IntArray:
    """Return pixels in both, predicted and true, int64 (3, C), where a true class is known."""
    known = true != IGNORED_NUMBER
    right = true[(decided == true) & known]
    rows = (right, decided[known], true[known])
    return np.stack([np.bincount(row, minlength=classes) for row in rows]).astype(np.int64)


def count_classes(maps: Sequence[tuple[IntArray, IntArray]]) -> ClassCounts:
    """Return the counts of images, each of `count_pixels`."""
    entries = [entries for entries, _ in maps]
    images = np.repeat(np.arange(len(maps)), [len(table) for table in entries])
    first, second, true, count = np.concatenate(entries).T.copy()
    areas = np.stack([areas for _, areas in maps])
    return ClassCounts(images, first, second, true, count, areas)


def count_pixels(
    first: ClassMap, second: ClassMap, true: ClassMap, classes: int
) -> tuple[IntArray, IntArray]:
    """Return one image's entries of `ClassCounts`, int64 (E, 4), and its areas, (C,).

    Args:
        first: most likely class of each pixel.
        second: second most likely class.
        true: true class, `IGNORED_NUMBER` where there is none.
        classes: how many there are, C.
    """
    areas = np.bincount(first.ravel(), minlength=classes).astype(np.int64)
    known = true != IGNORED_NUMBER
    codes = first[known].astype(np.int64)
    for numbers in (second, true):
        codes *= classes
        codes += numbers[known]
    if classes**3 <= _MOST_BINS:
        bins = np.bincount(codes)
        present = np.flatnonzero(bins)
        counts = bins[present]
    else:
        present, counts = np.unique(codes, return_counts=True)
    columns = (present // classes**2, present // classes % classes, present % classes, counts)
    return np.stack(columns, axis=1).astype(np.int64), areas


def choose_areas(counts: ClassCounts, metric: str) -> IntArray:
    """Return the least area of each class with the best score found, int64 (C,); 0 = none.

    Args:
        counts: of the images that choose.
        metric: as in `class_scores`.
    """
    areas = np.zeros(counts.classes, np.int64)
    for _ in range(_ROUNDS):
        before = areas.copy()
        for number in range(BACKGROUND + 1, counts.classes):
            areas[number] = _best_area(counts, metric, areas, number)
        if np.array_equal(areas, before):
            break
    return areas


def _best_area(counts: ClassCounts, metric: str, areas: IntArray, number: int) -> int:
    """Return the least area of one class with the best score, given those of the others."""
    with_class = counts.of(counts.areas[:, number] > 0)
    if not len(with_class):
        return 0
    always, never = areas.copy(), areas.copy()
    always[number], never[number] = 0, np.iinfo(np.int64).max
    sizes = with_class.areas[:, number]
    order = np.argsort(sizes, kind="stable")
    dropped, kept = (with_class.scores(metric, limits) for limits in (never, always))
    whole = counts.scores(metric, always)
    sizes, total = sizes[order], _gains(dropped[order], kept[order], whole)
    last = np.append(sizes[1:] != sizes[:-1], True)  # equal areas are dropped together
    ends = np.flatnonzero(last)
    if total[ends].max() <= _GAIN * len(counts):
        return 0
    best = ends[np.argmax(total[ends] > total[ends].max() - _GAIN * len(counts))]
    above = sizes[best + 1] if best + 1 < len(sizes) else sizes[best] + 1
    return int(sizes[best] + above + 1) // 2


def _gains(dropped: Scores, kept: Scores, whole: Scores) -> FloatArray:
    """Return N times what the score gains where a class is dropped from the first images, (M,).

    Args:
        dropped: of M images without the class.
        kept: of the same images with it.
        whole: of all N images with it.
    """
    if not (isinstance(dropped, Ratios) and isinstance(kept, Ratios) and isinstance(whole, Ratios)):
        return np.cumsum(np.asarray(dropped) - np.asarray(kept))
    above = whole.above.sum(axis=0) + np.cumsum(dropped.above - kept.above, axis=0)
    below = whole.below.sum(axis=0) + np.cumsum(dropped.below - kept.below, axis=0)
    return np.asarray((ratio(above, below).mean(axis=1) - whole.mean()) * len(whole))
