"""Blend and cut points of grades and numbers: their one form on disk, and their one reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from goldfold.checked_json import check_known, check_values
from goldfold.ensemble.class_choice import Threshold
from goldfold.ensemble.class_merge import merge_probabilities
from goldfold.ensemble.decision_fields import (
    AGAIN,
    MOST_MEMBERS,
    MemberOfRows,
    Words,
    describe_members,
    quantiles_of,
    weight_problems,
)
from goldfold.ensemble.number_scale import NumberScale
from goldfold.ensemble.numbers import decide_numbers
from goldfold.files import read_json
from goldfold.settings_files import Strict
from goldfold.vocabulary import MemberMerge

FloatArray = NDArray[np.float64]


class NumberFacts(Strict):
    """The scale of a number, the grades and the places at which one ends and the next begins."""

    low: float
    high: float
    grades: Annotated[list[Words], Field(max_length=1000)]
    cuts: Annotated[list[Threshold], Field(max_length=1000)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"the range {self.low:g} to {self.high:g} holds no numbers")
        scale = NumberScale.of_grades(tuple(self.grades))
        if self.grades and (self.low, self.high) != (scale.low, scale.high):
            raise ValueError(
                f"the range of {len(self.grades)} grades is {scale.low:g} to {scale.high:g}, not "
                f"{self.low:g} to {self.high:g}"
            )
        if len(self.cuts) != max(0, len(self.grades) - 1) or self.cuts != sorted(self.cuts):
            raise ValueError(f"expected rising cuts between {len(self.grades)} grades")
        if not all(name.isprintable() for name in self.grades):
            raise ValueError("expected printable names of grades")
        return self


class NumberDecision(Strict):
    """A `NumberChoice` on disk."""

    merge: MemberMerge
    members: Annotated[list[MemberOfRows], Field(max_length=MOST_MEMBERS)]
    number: NumberFacts

    @model_validator(mode="after")
    def _can_be_blended(self) -> Self:
        names = [member.name for member in self.members]
        problems = weight_problems({m.name: m.weight for m in self.members}, names)
        problems += [
            f"the quantiles of member {member.name} are not of one number"
            for member in self.members
            if any(len(row) != 1 for row in member.quantiles or [])
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


@dataclass(frozen=True)
class NumberChoice:
    """What was chosen for grades or numbers.

    Attributes:
        merge: on what places are averaged.
        weights: by member.
        scale: of the numbers.
        cuts: (C - 1,) rising places between grades, none of numbers.
        quantiles: by member, (Q, 1) of its out-of-fold places, in an exported model whose merge is
            `rank`.
    """

    merge: str
    weights: Mapping[str, int]
    scale: NumberScale
    cuts: tuple[float, ...]
    quantiles: Mapping[str, FloatArray] = field(default_factory=dict)

    def blend(
        self,
        names: Sequence[str],
        places: Sequence[FloatArray],
        references: Sequence[FloatArray] | None = None,
    ) -> FloatArray:
        """Return blended places, float64 (N,).

        Args:
            names: of M members.
            places: of each, (N, 1).
            references: of each, out-of-fold places in which ranks are counted; `quantiles` or the
                places themselves unless given.
        """
        if references is None and self.quantiles:
            references = [self.quantiles[name] for name in names]
        merged = merge_probabilities(
            places,
            [self.weights[name] for name in names],
            self.merge,
            exclusive=False,
            references=references if self.merge == "rank" else None,
        )
        return np.asarray(merged[:, 0])

    def decide(self, place: FloatArray) -> FloatArray:
        """Return grades, whole numbers from 0, or numbers, (N,), of places (N,)."""
        return decide_numbers(self.scale, place, np.array(self.cuts, np.float64))


def describe_number_choice(choice: NumberChoice) -> dict[str, Any]:
    """Return a choice as JSON values, in the form of `NumberDecision`."""
    number = {**choice.scale.to_json(), "cuts": list(choice.cuts)}
    return {
        "merge": choice.merge,
        "members": describe_members(choice.weights, choice.quantiles),
        "number": number,
    }


def check_number_choice(content: Any, source: Path, remedy: str) -> NumberChoice:
    """Return the choice that `describe_number_choice` made values of, from an untrusted file.

    Raises:
        InputError: lists everything that does not follow the form.
    """
    return _choice_of(check_values(content, NumberDecision, source, remedy))


def read_number_choice(path: Path) -> NumberChoice:
    """Return what an ensemble.json decides on grades or numbers.

    Raises:
        InputError: the file is missing, or not whole.
    """
    return _choice_of(check_known(read_json(path), NumberDecision, path, AGAIN))


def _choice_of(decision: NumberDecision) -> NumberChoice:
    number = decision.number
    return NumberChoice(
        decision.merge,
        {member.name: member.weight for member in decision.members},
        NumberScale(number.low, number.high, tuple(number.grades)),
        tuple(number.cuts),
        quantiles_of(decision.members),
    )
