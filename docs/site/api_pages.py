"""The pages of the public Python names, one for each package, and the sources behind them."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from types import ModuleType

PACKAGES = {
    "goldfold": "core",
    "goldfold.competitions": "competitions",
    "goldfold.folds": "folds",
    "goldfold.training": "training",
    "goldfold.inference": "inference",
    "goldfold.ensemble": "ensemble",
    "goldfold.submissions": "submissions",
    "goldfold.tasks": "tasks",
    "goldfold.pipeline": "pipeline",
}
"""Package -> its folder."""
MODULE_NAMES = {"rle": ("encode", "decode", "get_dialect", "DIALECTS", "Dialect")}
"""Module that is exported as a whole -> what people need of it."""


def api_pages() -> dict[str, str]:
    """Return path -> Markdown of the page of each package."""
    return {f"api/{name.rpartition('.')[2]}.md": _page(name) for name in PACKAGES}


def _page(name: str) -> str:
    """Return the page of a package; what `goldfold` itself exports stands on its page alone."""
    package = import_module(name)
    lines = [f"# {name}\n\n{_summary(package)}\n"]
    for public in (one for one in package.__all__ if not one.startswith("__")):
        if isinstance(getattr(package, public), ModuleType):
            lines.append(_module_section(public, home(package, public)))
        elif name == "goldfold" or public not in import_module("goldfold").__all__:
            lines.append(f"\n::: {home(package, public)}\n")
        else:
            lines.append(f"\n- [`goldfold.{public}`][{home(package, public)}]\n")
    return "".join(lines)


def _summary(package: ModuleType) -> str:
    return (inspect.getdoc(package) or "").partition("\n")[0]


def _module_section(name: str, module: str) -> str:
    """Return a section on a module that is exported as a whole, with links to its names."""
    links = ", ".join(f"[`{one}`][{module}.{one}]" for one in MODULE_NAMES[name])
    return f"\n## {name}\n\n{_summary(import_module(module))} It has {links}.\n"


def home(package: ModuleType, name: str) -> str:
    """Return the full name by which a public name is defined.

    >>> import goldfold.folds
    >>> home(goldfold.folds, "area_strata")
    'goldfold.folds.strata.area_strata'
    """
    value = getattr(package, name)
    if isinstance(value, ModuleType):
        return value.__name__
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}"
    if name in vars(package):  # a constant of a plain module
        return f"{package.__name__}.{name}"
    homes = inspect.getclosurevars(package.__getattr__).nonlocals["homes"]
    return home(import_module(f"{package.__name__}.{homes[name]}"), name)


def link_sources(root: Path, folder: Path) -> None:
    """Make a folder `goldfold` of links to the sources, as an installation lays them out.

    mkdocstrings reads sources without importing them, and cannot follow the mapping of an editable
    installation.

    Args:
        root: of the repository.
        folder: in which `goldfold` is made; it must not exist.
    """
    package = folder / "goldfold"
    package.mkdir(parents=True)
    for source in sorted((root / "core").iterdir()):
        (package / source.name).symlink_to(source)
    for name, source in PACKAGES.items():
        if "." in name:
            (package / name.rpartition(".")[2]).symlink_to(root / source)
