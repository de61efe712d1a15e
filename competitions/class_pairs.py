"""The classes of an image from a table with one row per image and class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.class_rows import ClassRows, combine_advice
from goldfold.competitions.data_report import count_ids
from goldfold.errors import plural
from goldfold.vocabulary import Combining

FloatArray = NDArray[np.float64]
HALF = 0.5


def combine_pairs(
    ids: pd.Series,
    place: NDArray[np.int64],
    shares: FloatArray,
    classes: Sequence[str],
    how: Combining | None,
    name: str,
) -> ClassRows:
    """Return the targets of the images; a missing class is a problem.

    Args:
        ids: (R,) image of each row.
        place: (R,) number of its class.
        shares: (R,) target of the pair, 0 to 1.
        classes: C names.
        how: what to do where rows of a pair disagree; None = that is a problem.
        name: name of the table.
    """
    codes, image_ids = pd.factorize(ids)
    named = [str(image) for image in image_ids]
    shape = (len(named), len(classes))
    pairs = codes * len(classes) + place
    size = shape[0] * shape[1]
    count = np.bincount(pairs, minlength=size)
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, pairs, shares)
    np.maximum.at(high, pairs, shares)
    mean = np.bincount(pairs, weights=shares, minlength=size) / np.maximum(count, 1)
    differs = (count > 0) & (high > low)
    where = [
        f"{named[pair // shape[1]]} ({classes[pair % shape[1]]})"
        for pair in np.flatnonzero(differs).tolist()
    ]
    problems, notices = _said(where, how, int((count - 1)[count > 0].sum()), name)
    if how == "any":
        mean[differs] = 1.0
    elif how == "majority":
        tied = differs & (mean == HALF)
        problems += count_ids(
            [label for label, is_tied in zip(where, tied[differs], strict=True) if is_tied],
            "image and class has", "images and classes have", f"no majority in {name} (combine)",
        )  # fmt: skip
        mean[differs] = mean[differs] > HALF
    per_image = (count.reshape(shape) > 0).sum(axis=1)
    problems += count_ids(
        [image for image, there in zip(named, per_image, strict=True) if there < len(classes)],
        "image has", "images have", f"fewer than {len(classes)} rows in {name}",
    )  # fmt: skip
    return ClassRows(named, mean.reshape(shape), per_image.astype(np.int64), problems, notices)


def _said(
    where: Sequence[str], how: Combining | None, repeats: int, name: str
) -> tuple[list[str], list[str]]:
    """Return problems and notices about pairs with several rows."""
    pair_words = ("image and class is", "images and classes are")
    problems, notices = [], []
    if where and how is None:
        lines = count_ids(where, *pair_words, f"0 and 1 in different rows of {name}")
        problems = [line + combine_advice(exclusive=False) for line in lines]
    elif where:
        text = f"different in rows of {name}, combined by {how}"
        notices = count_ids(where, *pair_words, text)
    if repeats and not how:
        verb = "repeats" if repeats == 1 else "repeat"
        notices.append(
            f"{plural(repeats, 'row', 'rows')} of {name} {verb} an image and class; each counts "
            "once"
        )
    return problems, notices
