"""The schema of what was fitted to blend members: calibration and stacking."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from goldfold.competitions.histogram import LEVELS
from goldfold.settings_files import Strict
from goldfold.vocabulary import CalibrationCurve
from goldfold.vocabulary import Stacking as StackingName

Name = Annotated[str, Field(max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]
Knots = Annotated[list[Share], Field(min_length=1, max_length=1_000_000)]
Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Table = Annotated[list[Share], Field(min_length=LEVELS, max_length=LEVELS)]


def _never_falls(values: list[float]) -> bool:
    return all(first <= second for first, second in pairwise(values))


class LevelCalibration(Strict):
    """Calibrated probability of each level of the members' maps."""

    way: CalibrationCurve
    members: Annotated[dict[Name, Table], Field(min_length=1, max_length=1000)]

    @field_validator("members")
    @classmethod
    def _rise(cls, members: dict[str, list[float]]) -> dict[str, list[float]]:
        if falling := [name for name, table in members.items() if not _never_falls(table)]:
            raise ValueError(f"the calibration of {falling[0]!r} falls; it must never do so")
        return members


class IsotonicKnots(Strict):
    """A rising step function, linear between its knots."""

    probability: Knots
    calibrated: Knots

    @model_validator(mode="after")
    def _rise(self) -> Self:
        lengths = len(self.probability), len(self.calibrated)
        if lengths[0] != lengths[1] or not all(
            _never_falls(values) for values in (self.probability, self.calibrated)
        ):
            raise ValueError("expected equally many rising knots and never falling values")
        return self


class PlattSigmoid(Strict):
    """A sigmoid of the logit."""

    slope: Annotated[float, Field(ge=0, le=1e6)]
    intercept: Number


class ClassCalibration(Strict):
    """Curve of each class of each member."""

    way: CalibrationCurve
    members: Annotated[
        dict[Name, Annotated[dict[Name, IsotonicKnots | PlattSigmoid], Field(max_length=1000)]],
        Field(min_length=1, max_length=1000),
    ]
    out_of_fold: dict[str, JsonValue] | None = None
    """Measures without and with calibration, for people."""


class StackedClass(Strict):
    """The linear map to one class: its bias and, by member and class, its coefficients."""

    bias: Number
    members: Annotated[
        dict[Name, Annotated[dict[Name, Number], Field(max_length=1000)]], Field(max_length=1000)
    ]


class Stacking(Strict):
    """A linear map from the members' predictions of classes to the classes."""

    way: StackingName
    classes: Annotated[dict[Name, StackedClass], Field(min_length=1, max_length=1000)]


def class_fit_problems(
    calibration: ClassCalibration | None,
    stacking: Stacking | None,
    members: list[str],
    classes: list[str],
) -> list[str]:
    """Return what is wrong with what was fitted for classes.

    Args:
        calibration: as read.
        stacking: as read.
        members: those of a weight above 0.
        classes: names of the classes.
    """
    problems = []
    if calibration is not None:
        problems += [
            f"the calibration of {member} is not one of each class"
            for member in members
            if set(calibration.members.get(member, {})) != set(classes)
        ]
    if stacking is None:
        return problems
    if set(stacking.classes) != set(classes):
        problems.append("stacking does not have each class")
    used = {name for row in stacking.classes.values() for name in row.members}
    said = {name for row in stacking.classes.values() for of in row.members.values() for name in of}
    problems += [f"stacking names {name!r}, not a member" for name in sorted(used - set(members))]
    problems += [f"stacking names {name!r}, not a class" for name in sorted(said - set(classes))]
    return problems
