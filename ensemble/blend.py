"""Blend the 8-bit maps of members in whole numbers, image by image, straight from the stores.

A member is a model. Its out-of-fold map of an image is the mean over seeds of the one fold model
that did not see the image; its test map is the mean over seeds and folds. The blend is the mean
of the members' maps by their weights. All of this is one weighted mean of stored maps, summed in
whole numbers and divided once: the same on every machine, and the blend of identical maps is
that map. It is rounded to the nearest level: the stored levels were rounded down, half a level on
average, and rounding down again would set test maps (many summands) below out-of-fold maps (few),
on which the thresholds are chosen.

Instead of probabilities, their logarithms, logits or ranks may be averaged
(`goldfold.ensemble.probability_scale`), in whole numbers as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import gcd, lcm
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import (
    JUDGED,
    LEVELS,
    OBJECT_ROWS,
    PIXEL_ROWS,
    level_histograms,
)
from goldfold.competitions.level_truth import LevelTruth
from goldfold.ensemble.presence import presence_level
from goldfold.ensemble.probability_scale import Scale
from goldfold.errors import InputError, list_problems
from goldfold.inference.reader import MapReader
from goldfold.inference.store import Split, maps_path
from goldfold.progress import SILENT, Progress

Levels = NDArray[np.uint8]

_LARGEST_TOTAL_WEIGHT = (2**32 - 1) // LEVELS


def blend_maps(maps: Iterable[Levels], weights: Sequence[int]) -> Levels:
    """Return the weighted mean of maps, rounded to the nearest level (up at half), uint8 (H, W).

    Args:
        maps: 8-bit maps (H, W) of one shape; taken one at a time.
        weights: whole numbers of at least 0, one a map, not all 0.

    Raises:
        InputError: a map is not uint8, shapes differ, or the weights do not fit.

    >>> blend_maps([np.array([[9]], np.uint8), np.array([[4]], np.uint8)], [1, 2]).tolist()
    [[6]]
    """
    total_weight = _check_weights(weights)
    wide = np.uint16 if total_weight * LEVELS < 1 << 16 else np.uint32
    total: NDArray[Any] | None = None
    for levels, weight in zip(maps, weights, strict=True):
        if levels.dtype != np.uint8:
            raise InputError(
                f"expected maps of 8-bit levels (uint8), found {levels.dtype}. "
                "goldfold.competitions.as_levels makes one of probabilities."
            )
        if total is None:
            total = np.zeros(levels.shape, wide)
        if levels.shape != total.shape:
            raise InputError(f"expected maps of one shape, found {total.shape} and {levels.shape}.")
        total += levels if weight == 1 else np.multiply(levels, wide(weight), dtype=wide)
    if total is None:
        raise InputError("expected at least one map to blend, found none.")
    total += wide(total_weight // 2)
    total //= wide(total_weight)
    return total.astype(np.uint8)


def merge_maps(maps: Iterable[Levels], weights: Sequence[int], scales: Sequence[Scale]) -> Levels:
    """Return the weighted mean of maps on another scale than that of probabilities, uint8 (H, W).

    Args:
        maps: 8-bit maps (H, W) of one shape; taken one at a time.
        weights: whole numbers of at least 0, one a map, not all 0.
        scales: one a map; the way back is the first one's.

    Raises:
        InputError: shapes differ, or the weights do not fit.
    """
    total_weight = _check_weights(weights)
    total: NDArray[np.int64] | None = None
    for levels, weight, scale in zip(maps, weights, scales, strict=True):
        if total is None:
            total = np.zeros(levels.shape, np.int64)
        if levels.shape != total.shape:
            raise InputError(f"expected maps of one shape, found {total.shape} and {levels.shape}.")
        total += (scale.there * weight)[levels]
    if total is None:
        raise InputError("expected at least one map to blend, found none.")
    return scales[0].levels(total, total_weight)


@dataclass(frozen=True)
class Member:
    """A model in a blend: its weight, and for each seed the stores of its folds."""

    name: str
    weight: int
    seeds: Sequence[Sequence[MapReader]]


def open_member(
    predictions: Path,
    name: str,
    *,
    weight: int = 1,
    seeds: Sequence[int],
    folds: Sequence[int],
    split: Split,
    allow_missing: bool = False,
    of_class: str = "",
) -> Member:
    """Return a model with its finished stores opened.

    Args:
        predictions: folder of the run's predictions.
        name: of the model.
        weight: whole number of at least 0.
        seeds: seeds it was trained with.
        folds: folds it was trained on.
        split: which maps.
        allow_missing: pass over folds without a finished store; each seed needs one at least.
        of_class: whose maps, where an image has several.

    Raises:
        InputError: stores are missing, unfinished or damaged; all are named at once.
    """
    opened: list[list[MapReader]] = []
    problems: list[str] = []
    for seed in seeds:
        readers: list[MapReader] = []
        for fold in folds:
            try:
                readers.append(MapReader(maps_path(predictions, name, seed, fold, split), of_class))
            except InputError as error:
                problems.append(str(error))
        if not readers and allow_missing:
            raise InputError(f"model {name}, seed {seed}: no fold has finished {split} maps.")
        opened.append(readers)
    if problems and not allow_missing:
        title = f"model {name} lacks {len(problems)} of {len(seeds) * len(folds)} {split} stores:"
        raise InputError(list_problems(title, problems))
    return Member(name, weight, opened)


def close_members(members: Sequence[Member]) -> None:
    """Close the stores of members that no blend owns."""
    for member in members:
        for readers in member.seeds:
            for reader in readers:
                reader.close()


class Blend:
    """The blended maps of all images that every member has, read one by one.

    Threads may share a blend.

    Attributes:
        members: what is blended; those of weight 0 are not read.
        image_ids: images that can be read, sorted.
    """

    def __init__(
        self,
        members: Sequence[Member],
        split: Split,
        *,
        partial: bool = False,
        scales: Mapping[str, Scale] | None = None,
    ) -> None:
        """Find the images.

        Args:
            members: at least one of positive weight.
            split: `out-of-fold`: each image lies in one store a seed; `test`: in every store.
            partial: leave out images that some member or seed lacks, instead of refusing.
            scales: by member, on what its maps are averaged; None for the mean of probabilities.

        Raises:
            InputError: the weights are all 0, an image was predicted out of fold by two folds,
                or members have different images.
        """
        self.members = [member for member in members if member.weight != 0]
        self._split, self._scales = split, scales
        _check_weights([member.weight for member in members])
        # Stores that each image must be found in exactly one of.
        choices = [choice for member in self.members for choice in self._choices(member)]
        self.image_ids = _common_images(choices, partial)

    def read(self, image_id: str) -> Levels:
        """Return the blended map of an image, uint8 (H, W).

        Raises:
            InputError: some member has no map of it, or maps differ in shape.
        """
        readers: list[MapReader] = []
        owners: list[str] = []
        counts: list[int] = []
        for member in self.members:
            chosen = [self._find(choice, image_id, member) for choice in self._choices(member)]
            readers += chosen
            owners += [member.name] * len(chosen)
            counts.append(len(chosen))
        weights = spread_weights([member.weight for member in self.members], counts)
        maps = (reader.read(image_id) for reader in readers)
        try:
            if self._scales is None:
                return blend_maps(maps, weights)
            return merge_maps(maps, weights, [self._scales[owner] for owner in owners])
        except InputError as error:
            raise InputError(f"{image_id}: {error}") from error

    def presence(self, image_id: str) -> int | None:
        """Return the presence level of an image (`presence_level`), None without a presence head.

        Raises:
            InputError: some member has no map of the image.
        """
        told = []
        for member in self.members:
            levels = [
                self._find(choice, image_id, member).presence(image_id)
                for choice in self._choices(member)
            ]
            told.append([level for level in levels if level is not None])
        return presence_level([member.weight for member in self.members], told)

    def of_member(self, number: int) -> Blend:
        """Return one member's own maps; the stores are this blend's, which closes them."""
        return Blend([self.members[number]], self._split, partial=True)

    def close(self) -> None:
        """Close all stores."""
        for member in self.members:
            for readers in member.seeds:
                for reader in readers:
                    reader.close()

    def _choices(self, member: Member) -> list[Sequence[MapReader]]:
        if self._split == "out-of-fold":
            return list(member.seeds)
        return [[reader] for readers in member.seeds for reader in readers]

    @staticmethod
    def _find(choice: Sequence[MapReader], image_id: str, member: Member) -> MapReader:
        for reader in choice:
            if image_id in reader:
                return reader
        raise InputError(f"model {member.name} has no map of {image_id}. Predict it first.")


def spread_weights(weights: Sequence[int], counts: Sequence[int]) -> list[int]:
    """Return a whole-numbered weight for each map, the member's weight shared out equally.

    Args:
        weights: of each member.
        counts: maps of each member.

    >>> spread_weights([1, 1], [2, 3])
    [3, 3, 2, 2, 2]
    """
    common = lcm(*counts)
    shares = [
        weight * common // count
        for weight, count in zip(weights, counts, strict=True)
        for _ in range(count)
    ]
    divisor = gcd(*shares)
    return [share // divisor for share in shares]


def blend_histograms(
    blend: Blend,
    image_ids: Sequence[str],
    mask_of: Callable[[str], NDArray[Any] | None],
    *,
    objects_of: Callable[[str], LevelTruth] | None = None,
    ignored_of: Callable[[str], NDArray[np.bool_] | None] = lambda _: None,
    judged: Sequence[int] = JUDGED,
    workers: int = 1,
    progress: Progress = SILENT,
) -> NDArray[np.int64]:
    """Return the histograms of the images' blended maps, int64 (N, 2, 256), in their order.

    Where the metric compares objects or shapes they are (N, 3, 256).

    Reading, unpacking and counting work outside Python's lock, so threads share them.

    Args:
        blend: the out-of-fold blend.
        image_ids: which images.
        mask_of: true mask of an image, (H, W), or None where it is empty; called from threads.
        objects_of: true objects or shape of an image, where the metric compares these.
        ignored_of: pixels of an image that do not count, (H, W), None where all do.
        judged: levels at which they are judged.
        workers: threads.
        progress: counts images.

    Raises:
        InputError: an image has no map, or its mask another shape.
    """
    rows = PIXEL_ROWS if objects_of is None else OBJECT_ROWS
    histograms = np.zeros((len(image_ids), rows, LEVELS), np.int64)

    def count(place: int) -> None:
        name = image_ids[place]
        levels = blend.read(name)
        try:
            objects = None if objects_of is None else objects_of(name)
            histograms[place] = level_histograms(
                levels, mask_of(name), objects, judged, ignored_of(name)
            )
        except InputError as error:
            raise InputError(f"{name}: {error}") from error

    with (
        progress.task("blend", len(image_ids)) as task,
        ThreadPoolExecutor(max(1, workers), thread_name_prefix="blend") as pool,
    ):
        for _ in pool.map(count, range(len(image_ids))):
            task.advance()
    return histograms


def _common_images(choices: Sequence[Sequence[MapReader]], partial: bool) -> list[str]:
    """Return the images that each choice of stores has, sorted."""
    id_sets: list[set[str]] = []
    for readers in choices:
        ids = [image_id for reader in readers for image_id in reader.image_ids]
        if len(set(ids)) != len(ids):
            double = next(i for i in ids if sum(i in reader for reader in readers) > 1)
            raise InputError(
                f"expected each image out of fold once, found {double} in several folds of "
                f"{readers[0].path.parent.parent}. Predict this model again."
            )
        id_sets.append(set(ids))
    common = set.intersection(*id_sets)
    everything = set.union(*id_sets)
    if common != everything and not partial:
        problems = [
            f"{readers[0].path.parent}: lacks {len(everything - ids)}, "
            f"such as {min(everything - ids)}"
            for readers, ids in zip(choices, id_sets, strict=True)
            if ids != everything
        ]
        raise InputError(
            list_problems(
                f"expected the same {len(everything)} images in all members:",
                problems,
                "Predict the missing folds, or say that folds may be missing "
                "(inference.allow_missing_folds = true).",
            )
        )
    return sorted(common)


def _check_weights(weights: Sequence[int]) -> int:
    """Return the sum of the weights."""
    total = sum(weights)
    if any(weight < 0 for weight in weights) or not 0 < total <= _LARGEST_TOTAL_WEIGHT:
        raise InputError(
            "expected whole-numbered weights of at least 0, one of them above 0, "
            f"found {list(weights)}."
        )
    return total
