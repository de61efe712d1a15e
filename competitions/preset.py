"""Presets and recipes: competitions and ways to train, as data.

A preset is a folder below presets/ with competition.toml (the [competition] table) and one TOML
file for each recipe (all other tables).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from goldfold.errors import InputError, did_you_mean
from goldfold.settings import Settings
from goldfold.settings_file import merge, override, read_toml, validate_settings

_COMPETITION = "competition.toml"


def preset_names() -> list[str]:
    """Return the names of the shipped presets."""
    return sorted(p.name for p in _root().iterdir() if (p / _COMPETITION).is_file())


def load_preset(name: str) -> dict[str, Any]:
    """Return the [competition] table of a preset.

    Raises:
        InputError: unknown name, with the nearest one.
    """
    return tomllib.loads((_folder(name) / _COMPETITION).read_text(encoding="utf-8"))


def recipe_names(preset: str) -> list[str]:
    """Return the names of a preset's recipes, `default` first."""
    names = [
        p.name.removesuffix(".toml")
        for p in _folder(preset).iterdir()
        if p.name.endswith(".toml") and p.name != _COMPETITION
    ]
    return sorted(names, key=lambda name: (name != "default", name))


def read_recipe(preset: str, recipe: str) -> str:
    """Return the TOML text of a recipe, comments included.

    Raises:
        InputError: unknown preset or recipe.
    """
    if recipe not in recipe_names(preset):
        known = recipe_names(preset)
        raise InputError(
            f"preset {preset} has no recipe {recipe!r}; it has {', '.join(known)}."
            f"{did_you_mean(recipe, known)}"
        )
    return (_folder(preset) / f"{recipe}.toml").read_text(encoding="utf-8")


def recipe_description(preset: str, recipe: str) -> str:
    """Return the first comment of a recipe, up to its first colon or full stop.

    >>> recipe_description("siim-acr-pneumothorax", "default")
    'A first serious run on one GPU'

    Raises:
        InputError: unknown preset or recipe.
    """
    first = next(iter(read_recipe(preset, recipe).splitlines()), "")
    return re.split(r"[:.](?:\s|$)", first.removeprefix("#").strip())[0] if first[:1] == "#" else ""


def load_settings(path: Path, assignments: Sequence[str] = ()) -> Settings:
    """Return the settings of a goldfold.toml, its preset beneath and --set above.

    A relative data folder is counted from the folder of goldfold.toml.

    Raises:
        SettingsError: any problem in file or assignments, all at once.
        InputError: unknown preset.
    """
    return resolve_settings(read_toml(path), path, assignments)


def resolve_settings(
    content: Mapping[str, Any], path: Path, assignments: Sequence[str] = ()
) -> Settings:
    """Return the settings of a goldfold.toml that has this content, or would have it.

    Args:
        content: of the file.
        path: of the file, in whose folder a relative data folder and modules are looked for.
        assignments: as `key=value`; they change what the preset says, too.

    Raises:
        SettingsError: any problem in content or assignments, all at once.
        InputError: unknown preset.
    """
    chosen = [one for one in assignments if one.partition("=")[0].strip() == "competition.preset"]
    whole = override({**content}, chosen)
    competition = whole.get("competition", {})
    if isinstance(competition, dict):
        name = competition.get("preset")
        whole["competition"] = merge(
            load_preset(name) if isinstance(name, str) else {}, competition
        )
    whole = override(whole, assignments)
    competition = whole.get("competition", {})
    if isinstance(competition, dict):
        data = competition.get("data", "data")
        if isinstance(data, str):
            whole["competition"] = {**competition, "data": str(path.parent / data)}
    return validate_settings(whole, str(path), path.parent)


def _root() -> Traversable:
    return files("goldfold.competitions") / "presets"


def _folder(name: str) -> Traversable:
    if name not in preset_names():
        known = preset_names()
        raise InputError(
            f"there is no preset {name!r}; there are {', '.join(known)}.{did_you_mean(name, known)}"
        )
    return _root() / name
