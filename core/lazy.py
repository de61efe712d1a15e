"""Public names of a room that are imported when they are first used (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_exports(room: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module `__getattr__` that finds each public name in its module of the room.

    Args:
        room: full name of the package, e.g. `goldfold.folds`.
        homes: public name -> module of the room that defines it.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(f"{room}.{homes[name]}"), name)

    return find
