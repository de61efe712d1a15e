"""TOML text changed in place: what stays the same keeps its comments, order and formatting."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, MutableMapping
from typing import Any

import tomlkit
from tomlkit.items import AoT, InlineTable, Table

from goldfold.settings_text import to_value


def edit_toml(text: str, content: Mapping[str, Any]) -> str:
    r"""Return TOML text changed to have this content.

    A table is changed key by key and a list of tables item by item, so only lines whose values
    differ are touched. New keys come after the ones that are there, before the next table. A new
    table gets lines of its own at the top level and stands in one line elsewhere.

    >>> print(edit_toml("# five\ncount = 5  # or ten\nseed = 0\n", {"count": 7, "seed": 0}))
    # five
    count = 7  # or ten
    seed = 0
    <BLANKLINE>

    Args:
        text: valid TOML.
        content: plain values and tables, without None.
    """
    document, old = tomlkit.parse(text), tomllib.loads(text)
    _update(document, old, {key: content[key] for key in content if key in old})
    for key in content:
        if key not in old:
            document[key] = content[key]
    return tomlkit.dumps(document)


def _update(
    table: MutableMapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    """Change a table of a document from its plain content `old` to `new`."""
    for key in [key for key in old if key not in new]:
        del table[key]
    for key, value in new.items():
        before: Any = old.get(key)
        if key in old and _same(before, value):
            continue
        place: Any = table.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        if isinstance(place, AoT) and _is_tables(value):
            _update_list(place, before, value)
        elif both and not isinstance(place, InlineTable):
            _update(place, before, value)
        else:
            if isinstance(place, AoT | Table):
                del table[key]
            table[key] = tomlkit.value(to_value(value))


def _update_list(tables: AoT, old: list[Any], new: list[Any]) -> None:
    """Change a list of tables item by item; items are added and removed at its end."""
    for place in reversed(range(len(new), len(old))):
        del tables[place]
    for place, value in enumerate(new):
        if place < len(old):
            _update(tables[place], old[place], value)
        else:
            tables.append(tomlkit.item(value))


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _same(first: Any, other: Any) -> bool:
    """Return whether two values are the same in TOML, where 1, 1.0 and true differ."""
    if isinstance(first, Mapping) and isinstance(other, Mapping):
        return first.keys() == other.keys() and all(_same(first[key], other[key]) for key in first)
    if isinstance(first, list) and isinstance(other, list):
        return len(first) == len(other) and all(map(_same, first, other))
    return type(first) is type(other) and bool(first == other)
