"""Settings as TOML text (the standard library only reads TOML)."""

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
    lines = [f"{_key(k)} = {_value(v)}" for k, v in values.items() if v is not None]
    text = "".join(f"{line}\n" for line in lines)
    for key, value in content.items():
        name = f"{prefix}{_key(key)}"
        if isinstance(value, Mapping):
            inner = to_toml(value, f"{name}.")
            text += f"\n[{name}]\n{inner}"
        elif _is_table(value):
            for one in value:
                text += f"\n[[{name}]]\n{to_toml(one, f'{name}.')}"
    return text


def _is_table(value: Any) -> bool:
    whole = isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value)
    return isinstance(value, Mapping) or bool(whole)


def _key(key: str) -> str:
    plain = key.replace("-", "").replace("_", "").isalnum() and key.isascii()
    return key if plain else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but JSON leaves DEL as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
