"""Weights of members that predict one class per pixel, searched on a sample of pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_maps import IGNORED_NUMBER
from goldfold.competitions.scores import Scores, gather
from goldfold.ensemble.class_map_rule import ClassMap, IntArray, Levels, class_scores
from goldfold.ensemble.probability_scale import make_scale
from goldfold.ensemble.weights import choose_weights
from goldfold.folds.parts import refuse_judging

MOST_IMAGES = 500
"""Images on which weights are searched; of more, a random sample."""
LARGEST_SIDE = 64
"""Of larger maps every n-th row and column is looked at."""


@dataclass(frozen=True)
class SampledPixels:
    """What every member predicts for some pixels of some images.

    Attributes:
        levels: uint8 (M, C, P).
        images: int64 (P,) place of the image of each pixel, rising.
        true: int64 (P,) true class.
        image_ids: (N,) ids.
    """

    levels: Levels
    images: IntArray
    true: IntArray
    image_ids: NDArray[np.str_]

    def of(self, chosen: NDArray[np.bool_]) -> SampledPixels:
        """Return those of some images, (N,)."""
        inside = chosen[self.images]
        places = np.cumsum(chosen) - 1
        return SampledPixels(
            self.levels[:, :, inside],
            places[self.images[inside]],
            self.true[inside],
            self.image_ids[chosen],
        )


def sample_pixels(
    maps_of: Callable[[str], Sequence[Levels]],
    true_of: Callable[[str], ClassMap],
    image_ids: Sequence[str],
) -> SampledPixels:
    """Return pixels of images thinned out to a largest side; those without a class are left out.

    Args:
        maps_of: image id -> the members' maps, uint8 (C, H, W) each.
        true_of: image id -> class map, uint8 (H, W).
        image_ids: N ids.
    """
    levels, images, true = [], [], []
    for place, image_id in enumerate(image_ids):
        maps, classes = list(maps_of(image_id)), true_of(image_id)
        step = max(1, -(-max(classes.shape) // LARGEST_SIDE))
        classes = classes[::step, ::step]
        known = classes != IGNORED_NUMBER
        levels.append(np.stack([member[:, ::step, ::step][:, known] for member in maps]))
        true.append(classes[known].astype(np.int64))
        images.append(np.full(int(known.sum()), place, np.int64))
    ids = np.array(image_ids, np.str_)
    return SampledPixels(
        np.concatenate(levels, axis=2), np.concatenate(images), np.concatenate(true), ids
    )


class ClassMapObjective:
    """The mean score of the most likely classes of a blend, without least areas.

    Attributes:
        image_ids: (N,) of the images that it looks at.
    """

    def __init__(self, pixels: SampledPixels, merge: str, metric: str) -> None:
        """Bring all members onto the scale of a merge.

        Args:
            pixels: what they say.
            merge: name of a scale that needs no counts.
            metric: name of a metric of pixel counts.
        """
        self._scale, self._metric = make_scale(merge), metric
        self._places = self._scale.there.astype(np.int32)[pixels.levels]
        self._pixels, self.image_ids = pixels, pixels.image_ids
        self._known: dict[tuple[int, ...], float] = {}

    @property
    def members(self) -> int:
        """Return how many members there are."""
        return len(self._places)

    def __call__(self, weights: Sequence[int]) -> float:
        """Return the score of a blend with these whole-numbered weights."""
        key = tuple(weights)
        if key not in self._known:
            self._known[key] = float(self.scores(weights).mean())
        return self._known[key]

    def scores(self, weights: Sequence[int]) -> Scores:
        """Return the score of each image, (N,), as `class_scores`."""
        total = np.zeros(self._places.shape[1:], np.int64)
        for weight, places in zip(weights, self._places, strict=True):
            if weight:
                total += np.multiply(places, weight, dtype=np.int64)
        decided = self._scale.levels(total, sum(weights)).argmax(axis=0)
        images, true, classes = self._pixels.images, self._pixels.true, len(total)
        right = decided == true
        counts = [
            np.bincount(
                images[some] * classes + numbers[some], minlength=len(self.image_ids) * classes
            )
            for numbers, some in (
                (decided, right),
                (decided, slice(None)),
                (true, slice(None)),
            )
        ]
        pixels = np.stack([table.reshape(-1, classes) for table in counts], axis=1)
        return class_scores(self._metric, pixels)


@dataclass(frozen=True)
class ClassMapTrial:
    """A way to blend and its score on the sampled pixels.

    Attributes:
        merge: on what maps are averaged.
        way: how weights are chosen.
        weights: those chosen on all images.
        scores: (N,) honest score of each image, its weights chosen on the other parts.
        optimistic: mean score of `weights`.
    """

    merge: str
    way: str
    weights: tuple[int, ...]
    scores: Scores
    optimistic: float


def try_class_map_blends(
    pixels: SampledPixels,
    parts: IntArray,
    metric: str,
    *,
    merges: Sequence[str],
    ways: Sequence[str],
) -> list[ClassMapTrial]:
    """Return a trial of every merge with every way to weigh.

    Args:
        pixels: what the members say.
        parts: (N,) part of each image.
        metric: name of a metric of pixel counts.
        merges: names of scales that need no counts.
        ways: `equal`, `hill-climb`, `simplex`.

    Raises:
        LeakError: weights would judge an image that chose them.
    """
    trials = []
    for merge in merges:
        whole = ClassMapObjective(pixels, merge, metric)
        without = {
            int(part): ClassMapObjective(pixels.of(parts != part), merge, metric)
            for part in np.unique(parts)
        }
        for way in ways:
            weights, pieces = tuple(choose_weights(way, whole)), []
            for part, objective in without.items():
                here = parts == part
                refuse_judging("blend weights", part, objective.image_ids, pixels.image_ids[here])
                pieces.append((here, whole.scores(choose_weights(way, objective))[here]))
            trials.append(ClassMapTrial(merge, way, weights, gather(pieces), whole(weights)))
    return trials
