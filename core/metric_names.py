"""Which metrics a task has, and what can be set behind a metric's name: `pf-beta(beta=2)`.

The text is the metric wherever one is named: in goldfold.toml, in ensemble.json, in Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, Field

from goldfold.errors import InputError, did_you_mean
from goldfold.own_code import is_reference
from goldfold.vocabulary import (
    ClassMeanMetric,
    ClassMetric,
    GradeMetric,
    Metric,
    NumberMetric,
    ObjectMetric,
    PixelMetric,
    ShapeMetric,
    TaskName,
    names_of,
)

METRICS_OF_TASK: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "segmentation": (
            *names_of(PixelMetric),
            *names_of(ObjectMetric),
            *names_of(ShapeMetric),
        ),
        "semantic-segmentation": names_of(PixelMetric),
        "classification": names_of(ClassMetric),
        "grades": names_of(GradeMetric),
        "regression": names_of(NumberMetric),
    }
)
"""By task, the metrics that goldfold has for it."""

WEIGHED = names_of(ClassMeanMetric)
"""Metrics of classes that are a mean over classes, which `metric_weights` weighs."""
SKIP = "skip"


@dataclass(frozen=True)
class Parameter:
    """What can be set behind the name of a metric.

    Attributes:
        default: where it is not set.
        read: text -> value; raises ValueError where it is none.
        words: the values that there are.
    """

    default: float | str
    read: Callable[[str], float | str]
    words: str


def _number(low: float, high: float, *, open_low: bool = False) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high or (open_low and value == low):
            raise ValueError
        return value

    return read


def _both_empty(text: str) -> float | str:
    return SKIP if text == SKIP else {"0": 0.0, "1": 1.0}[text]


_EMPTY = Parameter(1.0, _both_empty, "1, 0 or skip")
PARAMETERS: Mapping[str, Mapping[str, Parameter]] = MappingProxyType(
    {
        "dice": {"both_empty": _EMPTY},
        "mean-iou": {"both_empty": _EMPTY},
        "dice-hausdorff": {
            "dice_weight": Parameter(0.4, _number(0, 1), "a number from 0 to 1"),
            "both_empty": Parameter(1.0, {"0": 0.0, "1": 1.0}.__getitem__, "1 or 0"),
        },
        "pf-beta": {
            "beta": Parameter(
                1.0, _number(0, 100, open_low=True), "a number above 0 and at most 100"
            )
        },
    }
)
"""By metric, what can be set."""

_CALL = re.compile(r"([a-z0-9-]+)(?:\((.*)\))?", re.DOTALL)


@dataclass(frozen=True)
class MetricCall:
    """A metric's name, and the values of all its parameters."""

    name: str
    parameters: Mapping[str, float | str]

    def number(self, parameter: str) -> float:
        """Return the value of a parameter that is a number."""
        return float(self.parameters[parameter])


@cache
def parse_metric(text: str) -> MetricCall:
    """Return the name and the parameters of a metric; whether there is such a metric is not asked.

    Args:
        text: a name, with or without parameters; a `module:object` is a name of its own.

    Raises:
        InputError: the parameters are not those of the metric, or their values are out of range.

    >>> parse_metric("pf-beta(beta=2)").parameters["beta"], parse_metric("pf-beta").number("beta")
    (2.0, 1.0)
    """
    match = _CALL.fullmatch(text)
    if is_reference(text) or match is None:
        return MetricCall(text, {})
    name, given = match.group(1), match.group(2)
    known = PARAMETERS.get(name, {})
    values = {parameter: known[parameter].default for parameter in known}
    if given is not None:
        values |= _read(text, name, given, known)
    return MetricCall(name, values)


def _read(
    text: str, name: str, given: str, known: Mapping[str, Parameter]
) -> dict[str, float | str]:
    """Return the parameters that are set."""
    values: dict[str, float | str] = {}
    for part in given.split(","):
        parameter, equals, value = (piece.strip() for piece in part.partition("="))
        if parameter not in known or not equals:
            takes = ", ".join(f"{key} = {known[key].words}" for key in known) or "nothing"
            hint = did_you_mean(parameter, known)
            raise InputError(f"metric {text!r}: {name} takes {takes}, not {part.strip()!r}.{hint}")
        if parameter in values:
            raise InputError(f"metric {text!r} sets {parameter} twice.")
        try:
            values[parameter] = known[parameter].read(value)
        except (ValueError, KeyError):
            raise InputError(
                f"metric {text!r}: expected {parameter} = {known[parameter].words}, found "
                f"{value!r}."
            ) from None
    return values


def metric_name(text: str) -> str:
    """Return the name of a metric without its parameters.

    >>> metric_name("dice(both_empty=0)"), metric_name("my_metrics:score")
    ('dice', 'my_metrics:score')
    """
    return parse_metric(text).name


def require_metric(text: str, names: tuple[str, ...]) -> MetricCall:
    """Return a metric that has to be one of some.

    Raises:
        InputError: it is none of them; or as `parse_metric`.
    """
    call = parse_metric(text)
    if call.name not in names:
        hint = did_you_mean(call.name, names)
        raise InputError(f"unknown metric {call.name!r}; there are {', '.join(names)}.{hint}")
    return call


def metrics_of(task: TaskName) -> tuple[str, ...]:
    """Return the metrics that goldfold has for a task.

    >>> metrics_of("regression")
    ('mae', 'rmse')
    """
    return METRICS_OF_TASK[task]


def default_metric(task: TaskName, *, exclusive: bool = False) -> str:
    """Return the metric to begin with where a competition's own is not known.

    >>> default_metric("classification", exclusive=True), default_metric("grades")
    ('accuracy', 'quadratic-weighted-kappa')
    """
    if task == "classification":
        return "accuracy" if exclusive else "neg-log-loss"
    return METRICS_OF_TASK[task][0]


def metric_problem(text: str) -> str:
    """Return what is wrong with the text of `competition.metric`, "" if nothing.

    A name of another task passes: the task is looked at with the rest of the competition.
    """
    if is_reference(text):
        return ""
    try:
        require_metric(text, names_of(Metric))
    except InputError as error:
        return str(error)
    return ""


def _checked(text: str) -> str:
    if problem := metric_problem(text):
        raise ValueError(problem)
    return text


CALL_PATTERN = r"^[a-z0-9-]+\([^()]*\)$"
MetricText = Annotated[str, Field(pattern=CALL_PATTERN), AfterValidator(_checked)]
"""A metric with parameters."""


def wrong_metric(text: str, task: TaskName) -> str:
    """Return why a metric is not one of a task, "" if it is."""
    names = METRICS_OF_TASK[task]
    if is_reference(text) or metric_name(text) in names:
        return ""
    return f'metric "{text}" is not one of {task}: choose {", ".join(names[:-1])} or {names[-1]}'
