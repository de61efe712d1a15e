"""Types of the fields that describe a decision on disk: members, weights, levels, steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from goldfold.competitions.histogram import LEVELS
from goldfold.errors import InputError, list_problems
from goldfold.settings_files import Strict

MOST_MEMBERS = 1000
AGAIN = "Run `goldfold ensemble run` again."
"""The way out of an ensemble.json that is not whole."""
Words = Annotated[str, Field(max_length=200)]
Weight = Annotated[int, Field(ge=0, le=1_000_000)]
Level = Annotated[int, Field(ge=0, lt=LEVELS)]
Pixels = Annotated[int, Field(ge=0, lt=2**40)]
Share = Annotated[float, Field(ge=0, le=1)]
Counts = Annotated[list[Pixels], Field(min_length=LEVELS, max_length=LEVELS)]


Quantiles = Annotated[
    list[Annotated[list[Share], Field(min_length=1, max_length=1000)]],
    Field(min_length=2, max_length=10_000),
]


class MemberOfRows(Strict):
    """Name and weight of a member; quantiles by which an exported model counts its ranks."""

    name: Words
    weight: Weight
    quantiles: Quantiles | None = None


class Steps(Strict):
    """Post-processing of a mask, as `PostProcessing`."""

    min_part_px: Pixels = 0
    largest: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    fill_holes: Literal[0, 1] = 0
    dilate_px: Annotated[int, Field(ge=0, le=256)] = 0


class LevelAndProbability(Strict):
    """A threshold; the probability is for people, the level counts."""

    level: Level
    probability: Share


def weight_problems(weights: dict[str, int], names: list[str]) -> list[str]:
    """Return what is wrong with the weights of members, in words.

    Args:
        weights: by member.
        names: the names as they stand in the file, in order.
    """
    problems = [] if len(set(names)) == len(names) else ["members have the same name"]
    if not any(weights.values()):
        problems.append("the blend needs a weight above 0")
    return problems


def describe_members(
    weights: Mapping[str, int], quantiles: Mapping[str, NDArray[np.float64]]
) -> list[dict[str, Any]]:
    """Return members as JSON values, in the form of `MemberOfRows`.

    Args:
        weights: by member.
        quantiles: (Q, C) by member, where they are kept.
    """
    return [
        {"name": name, "weight": weight}
        | ({"quantiles": quantiles[name].tolist()} if name in quantiles else {})
        for name, weight in weights.items()
    ]


def quantiles_of(members: Sequence[MemberOfRows]) -> dict[str, NDArray[np.float64]]:
    """Return the quantiles of those members that have some, (Q, C)."""
    return {
        member.name: np.array(member.quantiles, np.float64)
        for member in members
        if member.quantiles is not None
    }


def require_members(source: Path, weights: Mapping[str, int], members: Collection[str]) -> None:
    """Accept the weights of an ensemble.json that are those of the members there are.

    Args:
        source: the file, for the message.
        weights: by member, as read.
        members: names of the members whose predictions are to be blended.

    Raises:
        InputError: lists every weight without a member and every member without a weight.
    """
    problems = [f"members names {name!r}, not a member" for name in weights if name not in members]
    problems += [f"members lacks {name!r}" for name in members if name not in weights]
    if problems:
        title = f"{source} was not written for the members {', '.join(members)}:"
        raise InputError(list_problems(title, problems, AGAIN))


def require_classes(source: Path, said: Sequence[str], asked: Sequence[str]) -> None:
    """Accept the classes or grades of an ensemble.json that are those of the competition.

    Args:
        source: the file, for the message.
        said: names, as read.
        asked: names in competition.classes, in the same order.

    Raises:
        InputError: they differ.
    """
    if list(said) != list(asked):
        raise InputError(
            f"{source} decides on {', '.join(said) or 'no classes'}; competition.classes are "
            f"{', '.join(asked) or 'none'}. {AGAIN}"
        )
