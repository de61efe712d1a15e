"""goldfold.toml: read, overridden by --set, checked, every problem at once."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from goldfold.errors import SettingsError, did_you_mean, list_problems, plural
from goldfold.settings import VIEW_PATTERN, Settings
from goldfold.settings_competition import MASK_PATTERN

_LONG = 60  # characters of a found value that are shown
_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "int_type": "a whole number",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_attributes_type": "a table",
    "model_type": "a table",
    "multiple_of": "a multiple of {multiple_of:g}",
    "path_type": "a path",
    "string_type": "text",
    "tuple_type": "a list",
}
"""pydantic's kind of error -> what was expected."""
_NAME = "text of letters, digits, '.', '_' and '-' that begins with a letter or digit"
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": _NAME,
    r"^[A-Za-z0-9][A-Za-z0-9._-]*\.csv$": f"{_NAME} and ends with .csv",
    MASK_PATTERN: "a path with {id} for the image's name, once",
    VIEW_PATTERN: "none, or hflip, vflip, rot90, rot180, rot270 and scale-F joined by +",
}
"""Patterns of the settings, in words."""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        SettingsError: missing, unreadable or not TOML (line and column named).
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{path} does not exist. `goldfold init PRESET --data DATA -o RUN` writes one."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {path}: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error


def merge(beneath: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `beneath` with the values of `above` on it, tables merged key by key.

    >>> merge({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
    {'a': {'x': 1, 'y': 3}}
    """
    merged = dict(beneath)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def override(content: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Return `content` with every `dotted.key=value` applied; values are written as in TOML.

    >>> override({"models": [{"name": "a"}]}, ["models.0.name=b", "folds.count=3"])
    {'models': [{'name': 'b'}], 'folds': {'count': 3}}

    Raises:
        SettingsError: no `=`, or a list index that does not exist.
    """
    changed: dict[str, Any] = _copy(content)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise SettingsError(
                f"--set {assignment!r}: expected KEY=VALUE, for example folds.count=5."
            )
        _assign(changed, key.strip().split("."), _value(text.strip()), assignment)
    return changed


def validate_settings(content: Mapping[str, Any], source: str) -> Settings:
    """Return checked settings; types are strict: "5" and true are no whole numbers.

    Raises:
        SettingsError: lists every problem of `source`, with the nearest name for unknown keys.
    """
    try:
        # As JSON, because there strictness still takes text for a path and a list for a pair.
        return Settings.model_validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        problems = _explain_all(error.errors())
        raise SettingsError(
            list_problems(
                f"{source} has {plural(len(problems), 'problem', 'problems')}:",
                problems,
                "`goldfold config schema` lists every setting.",
            )
        ) from None


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(one) for key, one in value.items()}
    return [_copy(one) for one in value] if isinstance(value, list) else value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _assign(place: Any, keys: Sequence[str], value: Any, assignment: str) -> None:
    for position, key in enumerate(keys):
        last = position == len(keys) - 1
        if isinstance(place, list):
            if not key.isdecimal() or int(key) >= len(place):
                known = f"0 to {len(place) - 1}" if place else "none: the list is empty"
                raise SettingsError(f"--set {assignment!r}: no item {key!r} (there are {known}).")
            index: Any = int(key)
        elif isinstance(place, dict):
            index = key
            if not last:
                place.setdefault(key, {})
        else:
            raise SettingsError(
                f"--set {assignment!r}: {'.'.join(keys[:position])} is a value, not a table."
            )
        if last:
            place[index] = value
        else:
            place = place[index]


def _explain_all(errors: Sequence[Any]) -> list[str]:
    """Return one line a setting; what each branch of a union expects is joined by `or`."""
    lines: dict[str, str] = {}
    expected: dict[str, list[str]] = {}
    found: dict[str, str] = {}
    for error in errors:
        path, model = _place(error["loc"])
        place = ".".join(str(part) for part in path)
        if error["type"] == "extra_forbidden":
            lines[place] = _unknown(str(path[-1]), model)
        elif error["type"] == "missing":
            lines[place] = "is missing"
        elif words := _expected(error):
            inside_branch = len(error["loc"]) - len(path) > 1
            text = f"a list whose items are each {words}" if inside_branch else words
            expected.setdefault(place, []).append(text)
            lines[place] = f"expected {_join(expected[place])}"
            found.setdefault(place, _found(error["input"]))
        else:
            lines[place] = error["msg"].removeprefix("Value error, ")
            if not isinstance(error["input"], Mapping | list):  # these are long, and no value
                found.setdefault(place, _found(error["input"]))
    return [
        f"{place}: {text}{found.get(place, '')}".removeprefix(": ") for place, text in lines.items()
    ]


def _expected(error: Any) -> str:
    """Return what pydantic's error expects in the words of TOML, "" for a validator's own."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _EXPECTED:
        return _EXPECTED[kind].format(**context)
    if kind == "string_pattern_mismatch":
        pattern: str = context["pattern"]
        return _PATTERNS.get(pattern, f"text that fits {pattern}")
    if kind in ("too_short", "too_long"):
        least = kind == "too_short"
        count = plural(context["min_length" if least else "max_length"], "item", "items")
        return f"at {'least' if least else 'most'} {count}"
    return ""


def _join(expected: Sequence[str]) -> str:
    """Return what branches expect as one text, each once.

    >>> _join(["text", "a whole number", "a number", "a list"])
    'text, a number or a list'
    """
    kinds = list(dict.fromkeys(expected))
    if "a number" in kinds and "a whole number" in kinds:
        kinds.remove("a whole number")
    return " or ".join(part for part in (", ".join(kinds[:-1]), kinds[-1]) if part)


def _found(value: Any) -> str:
    """Return what stood there, in brackets and shortened."""
    if isinstance(value, Mapping):
        return " (found a table)"
    if isinstance(value, list):
        return f" (found a list of {len(value)})"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return f" (found {text if len(text) <= _LONG else text[:_LONG] + '...'})"


def _unknown(name: str, model: type[BaseModel]) -> str:
    known = sorted(model.model_fields)
    hint = did_you_mean(name, known) or f" Known: {', '.join(known)}."
    return f"unknown setting.{hint}"


def _place(location: Sequence[str | int]) -> tuple[list[str | int], type[BaseModel]]:
    """Return the dotted place that a pydantic location means, and the table it stands in.

    pydantic ends the location of a union with the name of a branch, which is no key.
    """
    path: list[str | int] = []
    model: type[BaseModel] = Settings
    kind: Any = Settings
    for part in location:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            model = kind
            field = model.model_fields.get(str(part))
            kind = _bare(field.annotation) if field else None
        elif get_origin(kind) in (list, tuple, dict):
            kind = _bare(get_args(kind)[-1])
        else:
            break
        path.append(part)
    return path, model


def _bare(annotation: Any) -> Any:
    """Return a type without Annotated and without `| None`."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        some = [kind for kind in get_args(annotation) if kind is not type(None)]
        return _bare(some[0]) if len(some) == 1 else annotation
    return annotation
