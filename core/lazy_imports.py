"""Public names of a package that are imported when they are first used (PEP 562)."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # importing it from typing would cost `import goldfold` half its time
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def lazy_exports(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module `__getattr__` that finds each public name in its module of the package.

    Args:
        package: full name of the package, e.g. `goldfold.folds`.
        homes: public name -> module of the package that defines it; "" = the name is a module.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if not homes[name]:
            return import_module(f"{package}.{name}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return find
