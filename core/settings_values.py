"""What the levels of mask files mean: labels.values and labels.ignored_values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

if TYPE_CHECKING:
    from goldfold.settings_competition import CompetitionSettings
    from goldfold.settings_files import LabelTable

_NUMBER = r"-?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")
_FRACTION = re.compile(r"-?\d+\.\d+")
_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{12})")
VALUE_PATTERN = rf"^(?:{_RANGE.pattern}|{_FRACTION.pattern}|{_COLOUR.pattern})$"
_TOLERANCE = 1e-5
"""Share by which a level may differ from a fraction, which messages show with six digits."""
OLD_NAMES = {"levels": "values", "ignored_levels": "ignored_values"}
"""Earlier names of settings, which older files have."""

Value = Annotated[int, Field(ge=-(2**31), lt=2**32)] | Annotated[str, Field(pattern=VALUE_PATTERN)]


def _as_lists(given: Any) -> Any:
    """Return a single value as a list, here and in a table of classes."""
    if isinstance(given, Mapping):
        return {name: _as_lists(values) for name, values in given.items()}
    is_value = isinstance(given, str) and re.match(VALUE_PATTERN, given)
    values = [given] if is_value or isinstance(given, int | float) else given
    return [_as_value(value) for value in values] if isinstance(values, list) else values


def _as_value(given: Any) -> Any:
    """Return a fraction as text; raise ValueError unless a value is a level, range or colour."""
    value = str(given) if isinstance(given, float) else given
    fits = re.match(VALUE_PATTERN, value) if isinstance(value, str) else isinstance(value, int)
    if not fits or isinstance(value, bool):
        raise ValueError(
            'a value is a level 1, a range "128..255" or a colour "#ff0000", found '
            f"{json.dumps(given, default=str)}"
        )
    return value


Values = Annotated[list[Value], BeforeValidator(_as_lists)]
MaskValues = Annotated[
    Literal["nonzero", "objects"]
    | list[Value]
    | dict[str, Annotated[list[Value], Field(min_length=1)]],
    BeforeValidator(_as_lists),
]


@dataclass(frozen=True)
class ValueSet:
    """Some of the values that the pixels of a mask file may have.

    Attributes:
        levels: gray levels, or indices of a palette.
        ranges: lowest and highest level, both included.
        colours: red, green and blue.
    """

    levels: frozenset[int] = frozenset()
    ranges: tuple[tuple[float, float], ...] = ()
    colours: frozenset[tuple[int, int, int]] = frozenset()

    def has_level(self, level: float) -> bool:
        """Return whether a gray level, or the index of a palette, is among them."""
        return level in self.levels or any(low <= level <= high for low, high in self.ranges)


def parse_values(given: Sequence[int | str]) -> ValueSet:
    """Return the values that settings list.

    >>> parse_values([1, "128..255", "#ff0000"])
    ValueSet(levels=frozenset({1}), ranges=((128.0, 255.0),), colours=frozenset({(255, 0, 0)}))
    """
    texts = [value for value in given if isinstance(value, str)]
    ranges = [
        (float(match[1]), float(match[2])) for text in texts if (match := _RANGE.fullmatch(text))
    ]
    ranges += [_around(float(text)) for text in texts if _FRACTION.fullmatch(text)]
    return ValueSet(
        frozenset(value for value in given if isinstance(value, int)),
        tuple(ranges),
        frozenset(_parts(text) for text in texts if text[0] == "#"),
    )


def _around(fraction: float) -> tuple[float, float]:
    """Return the range of levels that a fraction stands for."""
    margin = _TOLERANCE * abs(fraction)
    return fraction - margin, fraction + margin


def _parts(colour: str) -> tuple[int, int, int]:
    digits = (len(colour) - 1) // 3
    red, green, blue = (int(colour[1 + digits * part :][:digits], 16) for part in range(3))
    return red, green, blue


def renamed_settings(given: Any) -> Any:
    """Return the table [labels] with the present names of settings of older files."""
    if not isinstance(given, Mapping):
        return given
    table = {OLD_NAMES.get(name, name): value for name, value in given.items()}
    if table.get("kind") == "levels":
        table["kind"] = "masks"
    return table


def values_problem(labels: LabelTable) -> str:
    """Return what is wrong with the values of mask files, "" if nothing."""
    values, ignored = labels.values, labels.ignored_values
    if labels.kind != "masks":
        named = "values" if values else "ignored_values"
        return f'{named} belongs to kind = "masks"' if values or ignored else ""
    lists = [*(values.values() if isinstance(values, dict) else [values]), ignored]
    backwards = [
        value
        for given in lists
        for value in given
        if isinstance(value, str)
        and (match := _RANGE.fullmatch(value))
        and float(match[1]) > float(match[2])
    ]
    if backwards:
        return f'the range "{backwards[0]}" ends before it begins'
    if isinstance(values, dict) and labels.class_masks:
        return "values by class read all classes from one file; leave class_masks out"
    for given in lists[:-1]:
        if isinstance(given, list) and (both := shared_value(given, ignored)):
            return f"values and ignored_values both name {both}"
    return ""


def shared_value(first: Sequence[int | str], second: Sequence[int | str]) -> str:
    """Return the first value that is in both lists, "" if there is none."""
    one, other = parse_values(first), parse_values(second)
    levels = sorted(
        {level for level in one.levels if other.has_level(level)}
        | {level for level in other.levels if one.has_level(level)}
    )
    ranges = [
        f"{max(low, start):g}..{min(high, end):g}"
        for low, high in one.ranges
        for start, end in other.ranges
        if max(low, start) <= min(high, end)
    ]
    colours = [f"#{''.join(f'{part:02x}' for part in c)}" for c in one.colours & other.colours]
    return next(iter([*map(str, levels), *ranges, *sorted(colours)]), "")


def class_values_problem(form: CompetitionSettings) -> str:
    """Return how values of mask files and the classes contradict each other, "" if they fit."""
    labels, values, classes = form.labels, form.labels.values, form.classes
    if labels.kind != "masks":
        return ""
    line = ", ".join(f"{toml_key(name)} = [{place}]" for place, name in enumerate(classes, 1))
    if form.is_semantic and not isinstance(values, dict):
        return (
            "where each pixel has exactly one class, mask files need the values of every class: "
            f"labels.values = {{ {line} }}"
        )
    if isinstance(values, dict) and set(values) != set(classes):
        known = ", ".join(classes) or "none"
        return f"labels.values names {', '.join(values)}; classes are {known}"
    if isinstance(values, dict):
        return _twice(values) if form.is_semantic else ""
    problems = {
        "several masks per image need labels.class_masks (one file per class) or the values of "
        f"each class in one file: labels.values = {{ {line} }}": not labels.class_masks,
        'labels.values = "objects" is of one mask per image; leave classes out': values
        == "objects",
    }
    return next((text for text, is_so in problems.items() if is_so and form.mask_classes), "")


def _twice(values: Mapping[str, Sequence[int | str]]) -> str:
    names = list(values)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            if both := shared_value(values[first], values[second]):
                return f"labels.values names {both} for both {first} and {second}"
    return ""


def toml_key(name: str) -> str:
    """Return a name as a key of a TOML table."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


def values_by_class(labels: LabelTable) -> dict[str, list[int | str]]:
    """Return class -> its values, empty where values are not listed by class."""
    return dict(labels.values) if isinstance(labels.values, dict) else {}
