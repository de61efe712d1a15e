"""What the output rows of networks mean as a number, and the targets that stand for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class NumberScale:
    """The range of a number, in which a network predicts a place from 0 to 1.

    Attributes:
        low: number at place 0.
        high: number at place 1.
        grades: C names of grades, from lowest to highest; none of a continuous number.
    """

    low: float
    high: float
    grades: tuple[str, ...] = ()

    @classmethod
    def of_grades(cls, grades: tuple[str, ...]) -> NumberScale:
        """Return the scale of grades 0 to C - 1, each in the middle of a C-th of the range.

        So no grade lies at an end, which a sigmoid never reaches.
        """
        return cls(-0.5, len(grades) - 0.5, grades)

    def number(self, place: FloatArray) -> FloatArray:
        """Return the numbers at places, (N,)."""
        return np.asarray(self.low + (self.high - self.low) * np.asarray(place, np.float64))

    def place(self, number: FloatArray) -> FloatArray:
        """Return the places of numbers, (N,)."""
        return np.asarray((np.asarray(number, np.float64) - self.low) / (self.high - self.low))

    def place_of_rows(self, rows: NDArray[Any]) -> FloatArray:
        """Return the places that networks predict, float64 (N,).

        Args:
            rows: (N, C) probabilities of the grades, whose expected grade counts; (N, C - 1)
                probabilities of the steps between neighbours, whose sum does; or (N, 1) places.
        """
        rows, grades = np.asarray(rows, np.float64), len(self.grades)
        if not grades or rows.shape[1] == 1:
            return np.array(rows[:, 0])
        if rows.shape[1] == grades:
            return self.place(rows @ np.arange(grades) / rows.sum(axis=1))
        return self.place(rows.sum(axis=1))

    def rows_of_place(self, place: FloatArray, output: str) -> FloatArray:
        """Return the targets of a network at a place; between two grades both have a share.

        Args:
            place: (N,).
            output: one of `goldfold.vocabulary.GradeOutput`.

        Returns:
            (N, C), (N, C - 1) or (N, 1), as in `place_of_rows`.

        Source: the steps are those of Frank and Hall 2001, A simple approach to ordinal
        classification, and of CORAL (Cao et al. 2020).
        """
        if output == "regression":
            return np.asarray(place, np.float64)[:, None]
        steps = np.clip(self.number(place)[:, None] - np.arange(len(self.grades) - 1), 0, 1)
        if output == "ordinal":
            return np.asarray(steps, np.float64)
        ends = np.ones((len(steps), 1)), np.zeros((len(steps), 1))
        reached = np.hstack([ends[0], steps, ends[1]])
        return np.asarray(reached[:, :-1] - reached[:, 1:], np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return the scale as JSON values."""
        return {"low": self.low, "high": self.high, "grades": list(self.grades)}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> NumberScale:
        """Return the scale of `to_json`."""
        return cls(facts["low"], facts["high"], tuple(facts["grades"]))
