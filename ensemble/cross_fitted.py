"""The cross-fitted score, in short the honest score, and what it is computed from.

A threshold that is chosen and judged on the same images flatters itself. The cross-fitted score
judges every image by thresholds that were chosen on the other folds only.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.pixels import as_array
from goldfold.ensemble.intervals import Interval
from goldfold.errors import InputError, first_few, plural
from goldfold.folds.finding import natural
from goldfold.folds.group_keys import group_keys
from goldfold.folds.parts import number_groups, parts_of

IntArray = NDArray[np.int64]


class LeakWarning(UserWarning):
    """Images of one group are in several folds, so what was judged had been seen."""


@dataclass(frozen=True)
class HonestScore:
    """What to expect of predictions whose thresholds are chosen on other images.

    Attributes:
        honest: the cross-fitted score: each image is judged by what was chosen on the other folds.
        interval: bootstrap interval of `honest`, in which whole groups are drawn again.
        optimistic: score of thresholds chosen and judged on the same images.
    """

    honest: float
    interval: Interval
    optimistic: float

    def __str__(self) -> str:
        """Return one line for people."""
        level = f"{self.interval.level:.0%}".replace("%", " %")
        return (
            f"honest {self.honest:.4f} ({level} interval {self.interval.low:.4f} to "
            f"{self.interval.high:.4f}), optimistic {self.optimistic:.4f}"
        )


@dataclass(frozen=True)
class Parts:
    """Which images are judged together, and which resemble each other.

    Attributes:
        names: label of each fold, in order.
        of_image: (N,) number of the part of each image; parts are the folds, or five parts of the
            only fold.
        groups: (N,) text, "" for an image of its own.
        group_numbers: (N,) from 0.
    """

    names: tuple[str, ...]
    of_image: IntArray
    groups: list[str]
    group_numbers: IntArray

    def name(self, part: int) -> str:
        """Return the label of a fold, or the number of a part of the only fold."""
        return self.names[part] if len(self.names) > 1 else f"part {part}"


def make_parts(images: int, folds: Any, groups: Iterable[Any] | None, seed: int) -> Parts:
    """Return the parts of N images.

    Args:
        images: N.
        folds: (N,) fold in which each image was held out, numbers or text.
        groups: (N,) group of each image; None, or missing values, for images of their own.
        seed: of dealing the groups of a single fold into five parts.

    Raises:
        InputError: folds are not given or missing in places, or lengths differ.
    """
    if folds is None:
        raise InputError(
            "expected folds: the fold in which each image was held out. Thresholds have to be "
            "chosen on other images than those they are judged on."
        )
    keys = group_keys(as_array(folds).reshape(-1))
    missing = [str(place) for place, key in enumerate(keys) if not key]
    if missing:
        raise InputError(
            f"expected a fold for each image, found none for {first_few(missing)}. Leave images "
            f"that "
            "no model held out, out."
        )
    owners = [""] * images if groups is None else group_keys(groups)
    if len(keys) != images or len(owners) != images:
        raise InputError(
            f"expected a fold and a group for each of {plural(images, 'image', 'images')}, found "
            f"{plural(len(keys), 'fold', 'folds')} and {plural(len(owners), 'group', 'groups')}."
        )
    names = sorted(set(keys), key=natural)
    number = {name: place for place, name in enumerate(names)}
    of_image = np.array([number[key] for key in keys], np.int64)
    _warn_of_leaks(owners, of_image)
    return Parts(tuple(names), parts_of(of_image, owners, seed), owners, number_groups(owners))


def _warn_of_leaks(owners: list[str], fold_of: IntArray) -> None:
    folds: dict[str, set[int]] = {}
    for owner, fold in zip(owners, fold_of.tolist(), strict=True):
        folds.setdefault(owner, set()).add(fold)
    split = [owner for owner, its in folds.items() if owner and len(its) > 1]
    if split:
        warnings.warn(
            f"{plural(len(split), 'group has', 'groups have')} images in several folds "
            f"({first_few(split)}): the models of one fold saw images like those they are "
            f"judged on, "
            "so the score is not honest. Build folds with build_folds(..., group=...).",
            LeakWarning,
            stacklevel=4,
        )
