"""Settings as TOML text, in which what belongs to a table stands before the tables below it.

tomlkit, which edits TOML (`goldfold.settings_edit`), writes a model's options after its stages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def to_toml(content: Mapping[str, Any], prefix: str = "") -> str:
    """Return plain settings as TOML; keys that are None are left out.

    >>> print(to_toml({"a": 1, "b": {"c": "x"}, "d": [{"e": [1, 2]}]}))
    a = 1
    <BLANKLINE>
    [b]
    c = "x"
    <BLANKLINE>
    [[d]]
    e = [1, 2]
    <BLANKLINE>
    """
    values = {key: value for key, value in content.items() if not _is_table(value)}
    lines = [f"{_key(k)} = {to_value(v)}" for k, v in values.items() if v is not None]
    text = "".join(f"{line}\n" for line in lines)
    for key, value in content.items():
        name = f"{prefix}{_key(key)}"
        if isinstance(value, Mapping):
            inner = to_toml(value, f"{name}.")
            text += f"\n[{name}]\n{inner}"
        elif _is_table(value):
            for item in value:
                text += f"\n[[{name}]]\n{to_toml(item, f'{name}.')}"
    return text


def _is_table(value: Any) -> bool:
    whole = isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value)
    return isinstance(value, Mapping) or bool(whole)


def _key(key: str) -> str:
    plain = key.replace("-", "").replace("_", "").isalnum() and key.isascii()
    return key if plain else to_value(key)


def to_value(value: Any) -> str:
    """Return a value as TOML in one line.

    >>> print(to_value({"a": [1, True], "b c": {}}))
    { a = [1, true], "b c" = {} }
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(to_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        cells = [f"{_key(key)} = {to_value(item)}" for key, item in value.items()]
        return f"{{ {', '.join(cells)} }}" if cells else "{}"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but JSON leaves DEL as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
