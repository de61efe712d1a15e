"""Types of the fields that describe a decision on disk: members, weights, levels, steps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from goldfold.competitions.histogram import LEVELS
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
