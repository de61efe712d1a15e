"""Which images are neighbours: slices of a volume, frames of a video, by columns of images.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.images_table import FIXED
from goldfold.errors import InputError, did_you_mean, first_few, list_problems
from goldfold.settings import ImageSequence

Sequences = Mapping[tuple[str, ...], Sequence[str]]
"""Values of the group columns -> ids of the images with these values, in order."""

_REMEDY = (
    "Complete the columns that competition.images.sequence names, through competition.images.facts "
    "or competition.tables, or list these images in competition.images.exclude."
)


def image_sequences(
    images: pd.DataFrame, sequence: ImageSequence
) -> dict[tuple[str, ...], list[str]]:
    """Return the sequences of a table of images, each in order.

    Order values are compared as numbers if all of a sequence are numbers ("9" before "10"), and as
    text if none is.

    Args:
        images: rows of images.csv, of one split.
        sequence: names of the columns.

    Raises:
        InputError: a column does not exist; a value is missing, an order value appears twice in a
            sequence, or only some of its order values are numbers: all such rows are listed.
    """
    _require_columns(images, sequence)
    columns = [*sequence.group, sequence.order]
    values = zip(*(images[name].astype(str).str.strip() for name in columns), strict=True)
    members: dict[tuple[str, ...], dict[str, str]] = {}  # image -> its order value
    problems = []
    for image_id, cells in zip(images["image_id"], values, strict=True):
        missing = [name for name, cell in zip(columns, cells, strict=True) if not cell]
        if missing:
            problems.append(f"image {image_id}: {' and '.join(missing)} missing")
        else:
            members.setdefault(cells[:-1], {})[image_id] = cells[-1]
    ordered = {}
    for group, order_of in members.items():
        problems += _neither(group, order_of, sequence.order)
        keys = dict(zip(order_of, _keys(list(order_of.values())), strict=True))
        problems += _repeated(group, keys, sequence.order)
        ordered[group] = sorted(keys, key=lambda image_id: keys[image_id])
    if problems:
        title = "it is not clear which images are neighbours:"
        raise InputError(list_problems(title, problems, _REMEDY))
    return ordered


def neighbour_places(count: int, offsets: Sequence[int]) -> NDArray[np.int64]:
    """Return the places of each image's neighbours in a sequence, int64 (count, K).

    Beyond either end of the sequence, the image at that end is repeated.

    >>> neighbour_places(3, [-1, 0, 1]).tolist()
    [[0, 0, 1], [0, 1, 2], [1, 2, 2]]

    Args:
        count: images in the sequence.
        offsets: K places relative to each image.
    """
    places = np.arange(count)[:, None] + np.asarray(offsets, np.int64)[None, :]
    within: NDArray[np.int64] = np.clip(places, 0, count - 1)
    return within


def neighbour_rows(
    image_ids: Sequence[str], sequences: Sequences, offsets: Sequence[int]
) -> NDArray[np.int64]:
    """Return the rows of each image's neighbours, int64 (N, K).

    Args:
        image_ids: N ids in the order of the rows; all of them, and no others, are in a sequence.
        sequences: of `image_sequences`.
        offsets: K places relative to each image.
    """
    row_of = {image_id: row for row, image_id in enumerate(image_ids)}
    neighbours = np.empty((len(image_ids), len(offsets)), np.int64)
    for members in sequences.values():
        rows = np.array([row_of[image_id] for image_id in members], np.int64)
        neighbours[rows] = rows[neighbour_places(len(rows), offsets)]
    return neighbours


def _require_columns(images: pd.DataFrame, sequence: ImageSequence) -> None:
    known = [str(name) for name in images.columns]
    missing = [name for name in (*sequence.group, sequence.order) if name not in known]
    if missing:
        own = [name for name in known if name not in FIXED and ":" not in name]
        raise InputError(
            f"competition.images.sequence names {first_few(missing)}, which images.csv does not "
            f"have (further columns: {', '.join(own) or 'none'}).{did_you_mean(missing[0], known)} "
            "Columns come from competition.images.facts (patterns of paths), competition.tables, "
            'and with competition.images.metadata = "dicom" from DICOM headers: series, '
            "position_mm, instance_number."
        )


def _keys(values: Sequence[str]) -> list[Any]:
    """Return what the values are sorted by: numbers if all of them are, else the text itself."""
    numbers = [_number(value) for value in values]
    return list(values) if None in numbers else numbers


def _number(value: str) -> Decimal | None:
    """Return a value as a finite number, None if it is not one."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _neither(group: tuple[str, ...], order_of: Mapping[str, str], column: str) -> list[str]:
    """Return a line for each order value that is not a number where others of a sequence are."""
    texts = {image_id: value for image_id, value in order_of.items() if _number(value) is None}
    if len(texts) == len(order_of):
        return []
    # As text "10" comes before "9", so that one such value would rearrange the others.
    return [
        f"image {image_id}: {column} is {value!r}, where others of sequence {' '.join(group)} "
        "are numbers"
        for image_id, value in texts.items()
    ]


def _repeated(group: tuple[str, ...], keys: Mapping[str, Any], column: str) -> list[str]:
    """Return a line for each order value that several images of a sequence have."""
    of_key: dict[Any, list[str]] = {}
    for image_id, key in keys.items():
        of_key.setdefault(key, []).append(image_id)
    return [
        f"sequence {' '.join(group)}: {column} {key} belongs to {' and '.join(ids)}"
        for key, ids in of_key.items()
        if len(ids) > 1
    ]
