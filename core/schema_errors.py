"""What pydantic finds wrong with settings or a file, one line for each place, in plain words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag

from goldfold.errors import did_you_mean, plural
from goldfold.metric_names import CALL_PATTERN
from goldfold.own_code import IN_WORDS
from goldfold.own_code import PATTERN as OWN_PATTERN
from goldfold.settings import VIEW_PATTERN
from goldfold.settings_dialect import EMPTY_PATTERN, SEPARATOR_PATTERN
from goldfold.settings_files import MASK_PATTERN
from goldfold.settings_values import VALUE_PATTERN

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
    "string_too_long": "at most {max_length} characters",
    "string_type": "text",
    "tuple_type": "a list",
}
"""pydantic's kind of error -> what was expected."""
_NAME = "text of letters, digits, '.', '_' and '-' that begins with a letter or digit"
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": _NAME,
    r"^[A-Za-z0-9][A-Za-z0-9._-]*\.csv$": f"{_NAME} and ends with .csv",
    EMPTY_PATTERN: "text of at most 20 characters without spaces at either end",
    SEPARATOR_PATTERN: "one to three of space, tab and , ; : | / _",
    MASK_PATTERN: "a path with {id} for the image's id, once, or {1}, {2} for the groups of "
    "images.id_pattern",
    OWN_PATTERN: IN_WORDS,
    VALUE_PATTERN: 'a range "128..255", a colour "#ff0000" or a fraction "0.5"',
    CALL_PATTERN: 'a name with parameters "pf-beta(beta=2)"',
    VIEW_PATTERN: "none, or hflip, vflip, rot90, rot180, rot270 and scale-F joined by +",
}
"""Patterns of the settings, in words."""


def explain_errors(
    errors: Sequence[Any], root: type[BaseModel], noun: str = "setting"
) -> list[str]:
    """Return one line for each place; what the branches of a union expect is joined by `or`.

    Args:
        errors: of pydantic's ValidationError.
        root: the model that was validated.
        noun: what an unknown key is called.
    """
    lines: dict[str, str] = {}
    expected: dict[str, list[str]] = {}
    messages: dict[str, str] = {}
    for error in errors:
        path, model = _place(error["loc"], root)
        place = _printable(".".join(str(part) for part in path))
        if error["type"] == "extra_forbidden":
            lines[place] = _unknown(str(path[-1]), model, noun)
        elif error["type"] == "missing":
            lines[place] = "is missing"
        elif words := _expected(error):
            inside_branch = len(error["loc"]) - len(path) > 1
            text = f"a list whose items are each {words}" if inside_branch else words
            expected.setdefault(place, []).append(text)
            lines[place] = f"expected {_join(expected[place])}"
            messages.setdefault(place, _found(error["input"]))
        else:
            lines[place] = error["msg"].removeprefix("Value error, ")
            if not isinstance(error["input"], Mapping | list):  # these are long, and no value
                messages.setdefault(place, _found(error["input"]))
    return [
        f"{place}: {text}{messages.get(place, '')}".removeprefix(": ")
        for place, text in lines.items()
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
    text = _printable(json.dumps(value, ensure_ascii=False, default=str))
    return f" (found {text if len(text) <= _LONG else text[:_LONG] + '...'})"


def _unknown(name: str, model: type[BaseModel], noun: str) -> str:
    known = sorted(model.model_fields)
    hint = did_you_mean(name, known) or f" Known: {', '.join(known)}."
    return f"unknown {noun}.{hint}"


def _place(
    location: Sequence[str | int], root: type[BaseModel]
) -> tuple[list[str | int], type[BaseModel]]:
    """Return the dotted place that a pydantic location means, and the table it stands in.

    pydantic ends the location of a union with the name of a branch, which is no key.
    """
    path: list[str | int] = []
    model = root
    kind: Any = root
    for part in location:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            model = kind
            field = model.model_fields.get(str(part))
            kind = _bare(field.annotation) if field else None
        elif get_origin(kind) in (list, tuple, dict):
            kind = _bare(get_args(kind)[-1])
        elif tagged := _tagged(kind, part):
            kind = tagged
            continue  # the tag is no key
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


def _tagged(union: Any, tag: str | int) -> Any:
    """Return the branch of a union that has a tag, None where it has no such branch."""
    for branch in get_args(union) if get_origin(union) in (Union, UnionType) else ():
        notes = get_args(branch)[1:] if get_origin(branch) is Annotated else ()
        if any(isinstance(note, Tag) and note.tag == tag for note in notes):
            return _bare(branch)
    return None


def _printable(text: str) -> str:
    """Return text as a terminal may show it: a file's content must not command the terminal."""
    return text if text.isprintable() else ascii(text)[1:-1]
