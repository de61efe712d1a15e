"""Presets and recipes: competitions and ways to train, described in TOML.

A preset is a folder in presets/ with competition.toml (the [competition] table) and one TOML file
per recipe (all other tables).
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
from goldfold.open_questions import unanswered
from goldfold.settings import Settings
from goldfold.settings_file import merge, override, read_toml, validate_settings

_COMPETITION = "competition.toml"


def preset_names() -> list[str]:
    """Return the names of the shipped presets."""
    return sorted(p.name for p in _root().iterdir() if (p / _COMPETITION).is_file())


def load_preset(name: str) -> dict[str, Any]:
    """Return the [competition] table of a preset.

    Raises:
        InputError: there is no such preset; the message suggests the most similar one.
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
    """Return the first comment of a recipe, up to the first colon or full stop.

    >>> recipe_description("siim-acr-pneumothorax", "default")
    'A first serious run on one GPU'

    Raises:
        InputError: unknown preset or recipe.
    """
    first = next(iter(read_recipe(preset, recipe).splitlines()), "")
    return re.split(r"[:.](?:\s|$)", first.removeprefix("#").strip())[0] if first[:1] == "#" else ""


def load_settings(path: Path, assignments: Sequence[str] = ()) -> Settings:
    """Return the settings of a goldfold.toml, which override its preset; --set overrides both.

    A relative data folder is relative to the folder of goldfold.toml.

    Raises:
        SettingsError: there are problems in file or assignments; the message lists all of them.
        InputError: unknown preset.
    """
    return resolve_settings(read_toml(path), path, assignments)


def resolve_settings(
    content: Mapping[str, Any], path: Path, assignments: Sequence[str] = ()
) -> Settings:
    """Return the settings of a goldfold.toml with this content.

    Args:
        content: content of the file.
        path: path of the file (which need not exist); a relative data folder and modules of
            your own are looked for in its folder.
        assignments: `key=value` texts, which override content and preset.

    Raises:
        SettingsError: there are problems in content or assignments; the message lists all of them.
        InputError: unknown preset.
    """
    chosen = [
        assignment
        for assignment in assignments
        if assignment.partition("=")[0].strip() == "competition.preset"
    ]
    settings = override({**content}, chosen)
    competition = settings.get("competition", {})
    if isinstance(competition, dict):
        name = competition.get("preset")
        settings["competition"] = merge(
            load_preset(name) if isinstance(name, str) else {}, competition
        )
    settings = override(settings, assignments)
    if isinstance(settings.get("questions"), dict):
        settings["questions"] = unanswered(settings["questions"], assignments)
    competition = settings.get("competition", {})
    if isinstance(competition, dict):
        data = competition.get("data", "data")
        if isinstance(data, str):
            settings["competition"] = {**competition, "data": str(path.parent / data)}
    return validate_settings(settings, str(path), path.parent)


def _root() -> Traversable:
    return files("goldfold.competitions") / "presets"


def _folder(name: str) -> Traversable:
    if name not in preset_names():
        known = preset_names()
        raise InputError(
            f"there is no preset {name!r}; the presets are {', '.join(known)}."
            f"{did_you_mean(name, known)}"
        )
    return _root() / name
