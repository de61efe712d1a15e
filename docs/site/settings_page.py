"""The page of all settings, made from the pydantic models: nothing on it is written by hand."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from goldfold.settings import Settings

HEAD = """# Settings

Every setting of `goldfold.toml`, one section for each of its tables.

`goldfold config show RUN` prints a run's settings with all defaults filled in,
`--set ensemble.rule=peak` overrides one for a single command, and `goldfold config schema` prints
the JSON schema. Unknown keys are errors that name the nearest known one.
"""

_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def settings_page() -> str:
    """Return the page as Markdown."""
    return HEAD + "".join(_section(path, model) for path, model in tables(Settings))


def tables(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the heading and the model of each table, a table before those inside it."""
    yield path, model
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            inside = f"{path.strip('[]')}.{name}".lstrip(".")
            listed = typing.get_origin(field.annotation) is list
            yield from tables(inner, f"[[{inside}]]" if listed else f"[{inside}]")


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models in an annotation: none for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models(part)]


def _section(path: str, model: type[BaseModel]) -> str:
    rows = [
        _row(name, field)
        for name, field in model.model_fields.items()
        if not _models(field.annotation)
    ]
    inner = [
        f"`{name}`: {_cell(field.description or '')}"
        for name, field in model.model_fields.items()
        if _models(field.annotation)
    ]
    title = f"`{path}`" if path else "Top level"
    lines = [f"\n## {title}\n", f"\n{(model.__doc__ or '').strip()}\n"]
    if rows:
        lines += ["\n| setting | type | default | meaning |\n|---|---|---|---|\n", *rows]
    if inner:
        lines += ["\nTables inside:\n\n", *(f"- {line}\n" for line in inner)]
    return "".join(lines)


def _row(name: str, field: FieldInfo) -> str:
    kind = type_text(field.annotation, field.metadata)
    cells = [f"`{name}`", _cell(kind), _cell(default_text(field)), _cell(field.description or "")]
    return f"| {' | '.join(cells)} |\n"


def _cell(text: str) -> str:
    return re.sub(r"[ \t\n]+", " ", text.strip()).replace("|", "\\|")


def default_text(field: FieldInfo) -> str:
    """Return a field's default as it would stand in TOML, "required" where it has none."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return "unset"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str | Path):
        return f'`"{value}"`'
    return f"`{value!r}`".replace("'", '"')


def type_text(annotation: Any, metadata: Any = ()) -> str:
    """Return what a value may be, in words, with its bounds."""
    return f"{_bare_type(annotation)}{_bounds(metadata)}"


def _bare_type(annotation: Any) -> str:
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _NAMES:
        return _NAMES[annotation]
    if origin is Literal:
        return ", ".join(f'`"{part}"`' if isinstance(part, str) else f"`{part}`" for part in parts)
    if origin is typing.Annotated:
        return type_text(parts[0], parts[1:])
    if origin in (Union, types.UnionType):
        return " or ".join(_bare_type(part) for part in parts if part is not types.NoneType)
    if origin is tuple:
        return f"[{', '.join(_bare_type(part) for part in parts)}]"
    if origin in (list, dict):
        return f"{'list' if origin is list else 'table'} of {_bare_type(parts[-1])}"
    raise TypeError(f"no words for the type {annotation!r} of a setting")


def _bounds(metadata: Any) -> str:
    """Return the bounds of a value, such as " (≥ 0, < 1)"."""
    words = []
    for part in metadata:
        if isinstance(part, FieldInfo):
            words += [_bounds(part.metadata).strip(" ()")]
        words += [
            f"{sign}\N{NO-BREAK SPACE}{bound:g}"
            for name, sign in _SIGNS.items()
            if (bound := getattr(part, name, None)) is not None
        ]
        if (step := getattr(part, "multiple_of", None)) is not None:
            words.append(f"multiple of {step}")
        if (least := getattr(part, "min_length", None)) is not None:
            words.append(f"at least {least}")
    words = [word for word in words if word]
    return f" ({', '.join(words)})" if words else ""
