"""Weights of members, chosen on out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import LEVELS
from goldfold.competitions.metric import scored_by_level
from goldfold.ensemble.probability_scale import Scale
from goldfold.ensemble.stacking import stacked_weights
from goldfold.ensemble.threshold import search_rule
from goldfold.errors import InputError, did_you_mean
from goldfold.folds.parts import names_of as names_of_images
from goldfold.vocabulary import Stacking, WeightSearch, names_of

IntArray = NDArray[np.int64]
Levels = NDArray[np.uint8]

FLOOR = 8
"""Pixels that all members put below this level (3 %) are left out: no mask is made of them."""

ROUNDS = 20
"""Members added by hill climbing."""
PARTS = 20
"""The simplex is searched in steps of a twentieth at the finest."""


@dataclass(frozen=True)
class Pixels:
    """What every member predicts for some pixels of some images.

    Attributes:
        levels: uint8 (M, P).
        images: int64 (P,) image of each pixel, rising.
        true: bool (P,) whether it belongs to the true mask.
        rest: int64 (N, 2) pixels that are left out, all and of the true mask.
        image_ids: (N,) ids; whatever is chosen on these pixels was chosen on these images.
    """

    levels: Levels
    images: IntArray
    true: NDArray[np.bool_]
    rest: IntArray
    image_ids: NDArray[np.str_]

    def of(self, chosen: NDArray[np.bool_]) -> Pixels:
        """Return those of some images.

        Args:
            chosen: (N,).
        """
        inside = chosen[self.images]
        numbers = np.cumsum(chosen) - 1
        return Pixels(
            self.levels[:, inside],
            numbers[self.images[inside]],
            self.true[inside],
            self.rest[chosen],
            self.image_ids[chosen],
        )

    def above(self, scales: Sequence[Scale]) -> Pixels:
        """Return these without the pixels of which no mask is made (`floor_of`).

        Args:
            scales: one a member.
        """
        floors = np.array([floor_of(scale) for scale in scales], np.uint8)
        busy = (self.levels >= floors[:, None]).any(axis=0)
        if busy.all():
            return self
        count, left = len(self.rest), ~busy
        dropped = [
            np.bincount(self.images[which], minlength=count) for which in (left, left & self.true)
        ]
        return Pixels(
            self.levels[:, busy],
            self.images[busy],
            self.true[busy],
            self.rest + np.stack(dropped, axis=1),
            self.image_ids,
        )


@dataclass(frozen=True)
class WeighedBlend:
    """A blend whose weights were chosen, and the images on which they were.

    Attributes:
        histograms: int64 (N, 2 or 3, 256) of the blended maps.
        chosen_on: ids of the images that the choice of the weights looked at.
    """

    histograms: IntArray
    chosen_on: NDArray[np.str_]


def pack(
    maps_of: Callable[[int], Sequence[Levels]],
    true_of: Callable[[int], NDArray[np.uint8] | None],
    count: int,
    *,
    largest_side: int = 256,
    image_ids: Sequence[str] | None = None,
    floors: Sequence[int] | None = None,
) -> Pixels:
    """Return the pixels that matter, of images thinned out to a largest side.

    Args:
        maps_of: place of an image -> the members' maps of it, uint8 (H, W) each.
        true_of: place -> true mask (H, W), None where it is empty.
        count: N images.
        largest_side: of larger maps every n-th row and column is looked at.
        image_ids: (N,) ids; places from 0 unless given.
        floors: of each member, the level below which no mask is made of it; `FLOOR` unless given.
    """
    levels, images, true = [], [], []
    rest = np.zeros((count, 2), np.int64)
    for place in range(count):
        maps = np.stack(list(maps_of(place)))
        step = max(1, -(-max(maps.shape[1:]) // largest_side))
        maps = maps[:, ::step, ::step]
        mask = true_of(place)
        truth = (
            np.zeros(maps.shape[1:], bool) if mask is None else mask[::step, ::step].astype(bool)
        )
        least = np.full(len(maps), FLOOR) if floors is None else np.asarray(floors)
        busy = (maps >= least[:, None, None]).any(axis=0)
        levels.append(maps[:, busy])
        true.append(truth[busy])
        images.append(np.full(int(busy.sum()), place, np.int64))
        rest[place] = (~busy).sum(), (truth & ~busy).sum()
    return Pixels(
        np.concatenate(levels, axis=1),
        np.concatenate(images),
        np.concatenate(true),
        rest,
        names_of_images(image_ids, count),
    )


def floor_of(scale: Scale) -> int:
    """Return the level of a member below which no mask is made on a scale.

    It is `FLOOR`, or less where calibration says that a member's low levels are masks. Level 0 is
    background for everyone.
    """
    reached = np.flatnonzero(scale.back[scale.there] >= FLOOR)
    return int(np.clip(reached[0] if reached.size else FLOOR, 1, FLOOR))


class Scored(Protocol):
    """What weights are searched for: a score from 0 on of so many members; higher is better."""

    @property
    def members(self) -> int:
        """Return how many members there are."""

    def __call__(self, weights: Sequence[int]) -> float:
        """Return the score of a blend."""


class Objective:
    """The best mean score that any rule reaches with a blend; higher is better.

    Attributes:
        image_ids: (N,) of the images that it looks at.
    """

    def __init__(self, pixels: Pixels, scales: Sequence[Scale], metric: str) -> None:
        """Bring all members onto the scale.

        Args:
            pixels: what they say.
            scales: one a member; the way back is the first one's.
            metric: name of a metric of pixel counts.

        Raises:
            InputError: the metric compares objects or shapes, which some pixels do not tell.
        """
        if scored_by_level(metric):
            raise InputError(
                "weights are searched on some pixels of each image, which do not tell what "
                f'"{metric}" compares: set ensemble.weights = "equal", or give the weights.'
            )
        self._scales, self._metric = scales, metric
        self._places = np.stack(
            [scale.there[levels] for scale, levels in zip(scales, pixels.levels, strict=True)]
        ).astype(np.int32)
        self._images = len(pixels.rest)
        self._bins = (pixels.images * 2 + pixels.true) * LEVELS
        self._rest = pixels.rest
        self.image_ids = pixels.image_ids
        self._known: dict[tuple[int, ...], float] = {}

    @property
    def members(self) -> int:
        """Return how many members there are."""
        return len(self._places)

    def __call__(self, weights: Sequence[int]) -> float:
        """Return the score of a blend with these whole-numbered weights."""
        key = tuple(weights)
        if key not in self._known:
            self._known[key] = search_rule(self.histograms(weights), self._metric).score
        return self._known[key]

    def histograms(self, weights: Sequence[int]) -> IntArray:
        """Return the histograms of the blend, int64 (N, 2, 256)."""
        total = np.zeros(self._places.shape[1], np.int64)
        for weight, places in zip(weights, self._places, strict=True):
            if weight:
                total += np.multiply(places, weight, dtype=np.int64)
        levels = self._scales[0].levels(total, sum(weights))
        counts = np.bincount(self._bins + levels, minlength=self._images * 2 * LEVELS)
        by_truth = counts.reshape(self._images, 2, LEVELS)
        histograms = np.stack([by_truth.sum(axis=1), by_truth[:, 1]], axis=1)
        histograms[:, :, 0] += self._rest
        return histograms


def hill_climb(objective: Scored, rounds: int = ROUNDS) -> list[int]:
    """Return weights by adding, with replacement, whichever member helps most.

    Members that never help keep weight 0. The best blend on the way is taken, of equals the first.

    Source: R. Caruana et al., "Ensemble selection from libraries of models", ICML 2004.
    """
    weights = [0] * objective.members
    best, best_score = weights, -1.0
    for _ in range(rounds):
        trials = []
        for member in range(objective.members):
            trial = list(weights)
            trial[member] += 1
            trials.append((objective(_reduced(trial)), trial))
        score, weights = max(trials, key=lambda scored: scored[0])
        if score > best_score:
            best, best_score = weights, score
    return _reduced(best)


def simplex(objective: Scored, parts: int = PARTS) -> list[int]:
    """Return weights that no shift from one member to another improves.

    Shares of a fifth, then a tenth, then a twentieth of the whole go from one member to another
    as long as that helps, from equal weights on. The score has steps, so that no gradient leads.
    """
    members = objective.members
    weights = [parts // members + (member < parts % members) for member in range(members)]
    score = objective(_reduced(weights))
    for share in (parts // 5, parts // 10, parts // 20):
        improved = True
        while improved:
            improved = False
            trials = []
            for giver in range(members):
                for taker in range(members):
                    if giver != taker and weights[giver] >= share:
                        trial = list(weights)
                        trial[giver] -= share
                        trial[taker] += share
                        trials.append((objective(_reduced(trial)), trial))
            if trials:
                trial_score, trial = max(trials, key=lambda scored: scored[0])
                if trial_score > score:
                    score, weights, improved = trial_score, trial, True
    return _reduced(weights)


def choose_weights(name: str, objective: Scored) -> list[int]:
    """Return the weights of a way to choose them: `equal`, `hill-climb` or `simplex`.

    Raises:
        InputError: there is no such way.
    """
    if name == "equal":
        return [1] * objective.members
    ways = {"hill-climb": hill_climb, "simplex": simplex}
    if name not in ways:
        known = names_of(WeightSearch)
        raise InputError(
            f"unknown weights {name!r}; there are {', '.join(known)}.{did_you_mean(name, known)}"
        )
    return ways[name](objective)


class PixelWeighing:
    """Chooses weights on pixels, by a search or a stacking.

    Attributes:
        objective: what searches look at.
    """

    def __init__(self, pixels: Pixels, scales: Sequence[Scale], metric: str) -> None:
        """Take what members say, and a scale for each.

        Args:
            pixels: of the images to choose on; those that no scale makes a mask of are left out.
            scales: one a member.
            metric: name of a metric of pixel counts.
        """
        self._pixels, self._scales, self._metric = pixels.above(scales), scales, metric

    @cached_property
    def objective(self) -> Objective:
        """What searches look at."""
        return Objective(self._pixels, self._scales, self._metric)

    def choose(self, way: str) -> tuple[list[int], NDArray[np.str_]]:
        """Return weights, and ids of the images that they were chosen on.

        Args:
            way: a name of `choose_weights`, or of a stacking, which looks at what is averaged.
        """
        if way not in names_of(Stacking):
            return choose_weights(way, self.objective), self.objective.image_ids
        pairs = zip(self._scales, self._pixels.levels, strict=True)
        values = np.stack([scale.values[said] for scale, said in pairs])
        return stacked_weights(way, values, self._pixels.true), self._pixels.image_ids


def _reduced(weights: Sequence[int]) -> list[int]:
    """Return weights of the same proportions in the smallest whole numbers."""
    divisor = max(1, int(np.gcd.reduce(weights)))
    return [weight // divisor for weight in weights]
