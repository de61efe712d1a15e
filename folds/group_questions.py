"""Columns that look like groups, about which the user must decide before images are split."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from goldfold.competitions.group_rule import coarsest, keeps_whole
from goldfold.errors import plural

MOSTLY_UNKNOWN = 0.5
"""A group column with a larger share of unknown values is not usable as a group."""
_FILL = "take the values from paths (competition.images.facts) or a table ([[competition.tables]])"


@dataclass(frozen=True)
class OpenGroup:
    """A column that looks like a group, but is neither kept together nor declined.

    Attributes:
        name: name of the column.
        values: number of different known values.
        repeated: number of values with several images.
        split: number of values that would be in several folds; None if the folds cannot be made.
        finer: further open columns whose values stay together if those of this column do.
        unknown: number of images without a value.
        images: number of images.
    """

    name: str
    values: int
    repeated: int
    split: int | None
    finer: tuple[str, ...]
    unknown: int
    images: int


def open_columns(
    candidates: Mapping[str, Sequence[str]], groups: Sequence[str], declined: Sequence[str]
) -> dict[str, list[str]]:
    """Return the columns that need a decision, each with the finer columns that it also decides.

    Args:
        candidates: columns that look like groups: name -> value of each image, "" = unknown.
        groups: (N,) group of each image according to the settings.
        declined: names of the columns whose images are independent.
    """
    unanswered = {
        name: values
        for name, values in candidates.items()
        if name not in declined and not keeps_whole(groups, values)
    }
    return coarsest(unanswered)


def count_open(
    name: str, values: Sequence[str], finer: Sequence[str], folds: Sequence[int] | None
) -> OpenGroup:
    """Return the counts of an open column.

    Args:
        name: name of the column.
        values: (N,) value of each image; "" = unknown.
        finer: columns whose values stay together if those of this column do.
        folds: (N,) fold of each image under the present settings; None if they cannot be split.
    """
    images = Counter(value for value in values if value)
    split = None
    if folds is not None:
        pairs = {(value, fold) for value, fold in zip(values, folds, strict=True) if value}
        split = sum(count > 1 for count in Counter(value for value, _ in pairs).values())
    repeated = sum(count > 1 for count in images.values())
    unknown = len(values) - images.total()
    return OpenGroup(name, len(images), repeated, split, tuple(finer), unknown, len(values))


def question(group: OpenGroup, declined: Sequence[str]) -> str:
    """Return the question, with the two lines of goldfold.toml that answer it.

    Args:
        group: the open column.
        declined: columns that the settings decline already.
    """
    name = json.dumps(group.name, ensure_ascii=False)
    refused = json.dumps([*declined, group.name, *group.finer], ensure_ascii=False)
    split = f"up to {group.repeated:,}" if group.split is None else f"{group.split:,}"
    finer = ", ".join(json.dumps(finer_name, ensure_ascii=False) for finer_name in group.finer)
    also = f" The answer also applies to {finer}, which is finer." if finer else ""
    if group.unknown > MOSTLY_UNKNOWN * group.images:
        also += (
            f" To be used as the group it needs values for more images: {group.unknown:,} of "
            f"{group.images:,} have none; {_FILL}."
        )
    return (
        f"column {name} of images.csv looks like a group: "
        f"{plural(group.values, 'value', 'values')}, {group.repeated:,} with several images, "
        f"and {split} would be split across folds. Set one of these lines in [folds] of "
        f"goldfold.toml: group = {name} keeps each value in one fold; not_groups = {refused} "
        f"says that images with equal values are independent.{also}"
    )


def unknown_values(
    name: str, values: Sequence[str], *, declared: bool
) -> tuple[list[str], list[str]]:
    """Return problems and notices about images without a value in the group column.

    Args:
        name: name of the column.
        values: (N,) value of each image; "" = unknown.
        declared: whether settings say that each of a few such images is a group of its own.
    """
    unknown, images = sum(not value for value in values), len(values)
    if not unknown:
        return [], []
    count = f"{unknown:,} of {plural(images, 'training image', 'training images')}"
    quoted = json.dumps(name, ensure_ascii=False)
    if unknown > MOSTLY_UNKNOWN * images:
        return [
            f"folds.group = {quoted}, but {count} have no value in "
            f"that column, so images of one group could be in several folds. Set another column as "
            f"group in [folds] of goldfold.toml, {_FILL}, or set "
            'group = "none" if the images are independent.'
        ], []
    if not declared:
        return [
            f"folds.group = {quoted}, but {count} have no value in that column. Set ungrouped = "
            '"single" in [folds] of goldfold.toml if each of them is a group of its own, or '
            f"{_FILL}."
        ], []
    return [], [
        f"{count} have no value in the column {name} (folds.group); each of them is its own group "
        '(ungrouped = "single")'
    ]
