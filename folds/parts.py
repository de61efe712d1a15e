"""Parts: groups of images that are judged by what was chosen on all the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError, LeakError, first_few, plural

IntArray = NDArray[np.int64]

PARTS_OF_ONE_FOLD = 5


def parts_of(folds: Sequence[int] | IntArray, groups: Sequence[str], seed: int) -> IntArray:
    """Return the part of each image, (N,): what is chosen for a part is chosen on the others.

    Parts are the folds. Where there is only one, its groups are dealt into five parts.

    Args:
        folds: (N,) fold of each image.
        groups: (N,) group of each image; "" for an image of its own.
        seed: of the dealing.

    Raises:
        InputError: one fold of a single group cannot be parted.
    """
    fold_of = np.asarray(folds, np.int64)
    return fold_of if np.unique(fold_of).size > 1 else _deal(number_groups(groups), seed)


def number_groups(groups: Sequence[str]) -> IntArray:
    """Return a number from 0 for each group, (N,); each "" is a group of its own.

    >>> number_groups(["b", "", "a", "b", ""]).tolist()
    [0, 1, 2, 0, 3]
    """
    numbers: dict[str | int, int] = {}
    names: list[str | int] = [group or place for place, group in enumerate(groups)]
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)


def _deal(group_of: IntArray, seed: int) -> IntArray:
    """Return a part for each image, whole groups dealt out in a seeded order."""
    count = int(group_of.max()) + 1
    if count < 2:
        raise InputError(
            "expected images of at least two groups to choose a rule on some and judge it on the "
            f"others, found one group of {len(group_of)} images. Predict more images."
        )
    part_of_group = np.empty(count, np.int64)
    part_of_group[np.random.default_rng(seed).permutation(count)] = np.arange(count)
    parts: IntArray = part_of_group[group_of] % min(PARTS_OF_ONE_FOLD, count)
    return parts


def names_of(image_ids: Sequence[str] | None, count: int) -> NDArray[np.str_]:
    """Return the ids of images as an array (N,); their places from 0 where no ids are known.

    >>> names_of(None, 3).tolist()
    ['0', '1', '2']
    """
    return np.array(range(count) if image_ids is None else image_ids, dtype=np.str_)


def refuse_judging(what: str, part: int, chosen_on: Iterable[str], judged: Iterable[str]) -> None:
    """Accept a choice that judges none of the images it was made on.

    Args:
        what: was chosen, in the plural, e.g. "blend weights".
        part: fold or part that is judged.
        chosen_on: ids of the images that the choice looked at.
        judged: ids of the images that it is about to judge.

    Raises:
        LeakError: an image is among both.
    """
    both = sorted(set(chosen_on).intersection(judged))
    if both:
        raise LeakError(
            f"fold or part {part}: {what} were about to judge "
            f"{plural(len(both), 'image', 'images')} on which they were chosen: {first_few(both)}. "
            f"The score would not be honest, so it was not computed. Choose {what} for this part "
            "on the images of the other parts."
        )
