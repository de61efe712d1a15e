"""goldfold.toml: read, overridden by --set, checked, every problem at once."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from goldfold.errors import SettingsError, list_problems, plural
from goldfold.schema_errors import explain_errors
from goldfold.settings import Settings


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


def validate_settings(
    content: Mapping[str, Any], source: str, folder: Path | None = None
) -> Settings:
    """Return checked settings; types are strict: "5" and true are no whole numbers.

    Args:
        content: of a settings file.
        source: what messages call it.
        folder: where the modules of `module:object` are, which are bound to their content; they
            stay as they are unless given.

    Raises:
        SettingsError: lists every problem of `source`, with the nearest name for unknown keys.
    """
    try:
        # As JSON, because there strictness still takes text for a path and a list for a pair.
        return Settings.model_validate_json(
            json.dumps(content, default=str), strict=True, context={"folder": folder}
        )
    except ValidationError as error:
        problems = explain_errors(error.errors(), Settings)
        raise SettingsError(
            list_problems(
                f"{source} has {plural(len(problems), 'problem', 'problems')}:",
                problems,
                "`goldfold config schema` lists every setting.",
            )
        ) from None


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


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
