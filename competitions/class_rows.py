"""The classes of an image from all of its rows: equal ones count once, others are combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.data_report import count_ids
from goldfold.competitions.images_table import JOINT
from goldfold.errors import plural
from goldfold.vocabulary import Combining

FloatArray = NDArray[np.float64]
HALF = 0.5
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ClassRows:
    """The targets of the images of a table.

    Attributes:
        image_ids: ids, each once, in order of first appearance.
        shares: (I, C) targets, 0 to 1.
        rows: (I,) number of rows that count.
        problems: one line each.
        notices: one line each.
    """

    image_ids: list[str]
    shares: FloatArray
    rows: NDArray[np.int64]
    problems: list[str]
    notices: list[str]


def combine_rows(
    ids: pd.Series, shares: FloatArray, how: Combining | None, name: str, *, exclusive: bool
) -> ClassRows:
    """Return one row per image.

    Args:
        ids: (R,) image of each row.
        shares: (R, C) targets, 0 to 1.
        how: what to do where rows of an image disagree; None = that is a problem.
        name: name of the table.
        exclusive: each row has exactly one class, and so shall each image.
    """
    codes, image_ids = pd.factorize(ids)
    named = [str(image) for image in image_ids]
    count = np.bincount(codes, minlength=len(named))
    if not len(codes):
        return ClassRows([], shares, count, [], [])
    first = np.unique(codes, return_index=True)[1]
    differs = np.zeros(len(named), bool)
    np.logical_or.at(differs, codes, (shares != shares[first][codes]).any(axis=1))
    own = shares[first].copy()
    problems: list[str] = []
    notices = [] if how else _repeats(int((count - 1)[~differs].sum()), name)
    where = [named[place] for place in np.flatnonzero(differs)]
    if where and how is None:
        lines = count_ids(where, "image has", "images have", f"different classes in {name}")
        problems += [line + combine_advice(exclusive=exclusive) for line in lines]
    elif where:
        means = np.zeros_like(own)
        np.add.at(means, codes, shares)
        means /= count[:, None]
        own[differs], tied = _combined(means[differs], how or "any", exclusive=exclusive)
        notices += count_ids(
            where, "image has", "images have", f"different classes in {name}, combined by {how}"
        )
        problems += count_ids(
            [image for image, is_tied in zip(where, tied, strict=True) if is_tied],
            "image has", "images have", f"no majority among the rows in {name} (combine)",
        )  # fmt: skip
    return ClassRows(named, own, np.ones(len(named), np.int64), problems, notices)


def combine_advice(*, exclusive: bool) -> str:
    """Return the sentence with the setting that decides where rows of an image disagree."""
    rules = '"majority" or "mean"' if exclusive else '"any", "majority" or "mean"'
    return f". Set combine = {rules} in [competition.labels] of goldfold.toml, or correct the rows"


def _combined(
    means: FloatArray, how: Combining, *, exclusive: bool
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the targets of images whose rows disagree, (D, C), and which are undecided, (D,)."""
    undecided: NDArray[np.bool_] = np.zeros(len(means), bool)
    if how == "mean":
        return means, undecided
    if how == "any":
        return (means > 0).astype(np.float64), undecided
    if not exclusive:
        undecided = np.asarray((np.abs(means - HALF) < _TOLERANCE).any(axis=1))
        return (means > HALF).astype(np.float64), undecided
    most = means.max(axis=1, keepdims=True)
    best = means > most - _TOLERANCE
    undecided = np.asarray(best.sum(axis=1) > 1)
    return (np.arange(means.shape[1]) == best.argmax(axis=1)[:, None]).astype(float), undecided


def _repeats(repeats: int, name: str) -> list[str]:
    if not repeats:
        return []
    verb = "repeats" if repeats == 1 else "repeat"
    return [f"{plural(repeats, 'row', 'rows')} of {name} {verb} another; each counts once"]


def named_classes(shares: FloatArray, classes: Sequence[str], *, exclusive: bool) -> list[str]:
    """Return the classes of each image as the column `classes` has them.

    An image has a class from a share of 1/2 on; of exclusive ones it has the largest.

    Args:
        shares: (I, C), 0 to 1.
        classes: C names.
        exclusive: exactly one class an image.
    """
    if exclusive and len(shares):
        return [classes[place] for place in shares.argmax(axis=1)]
    flags = shares >= HALF
    texts = np.full(len(shares), "", dtype=object)
    for name, has in zip(classes, flags.T, strict=True):
        texts += np.where((texts != "") & has, JOINT, "") + np.where(has, name, "")
    return [str(text) for text in texts]


def written_shares(shares: FloatArray) -> list[str]:
    """Return the shares of each image as text, in the order of the classes.

    >>> written_shares(np.array([[0.5, 1.0]]))
    ['0.5;1']
    """
    return [JOINT.join(f"{share:.6g}" for share in row) for row in shares]
