"""The goldfold.toml of a new run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.competitions.preset import load_preset, read_recipe, resolve_settings
from goldfold.errors import InputError
from goldfold.files import write_text
from goldfold.settings_edit import edit_toml
from goldfold.settings_file import override, validate_settings
from goldfold.settings_text import to_toml

if TYPE_CHECKING:
    from goldfold.settings import Settings

MOST_STEPS_UP = 3
"""Folders that a relative data folder may go up before an absolute one says it better."""


def write_settings(target: Path, text: str, *, overwrite: bool) -> None:
    """Write goldfold.toml; the same text may be there already.

    Raises:
        InputError: another one is there, and `overwrite` is not set.
    """
    if target.is_file() and not overwrite and target.read_bytes() != text.encode():
        raise InputError(
            f"{target} already exists with other content. Choose another run "
            "directory, or add --overwrite to replace it."
        )
    write_text(target, text)


def preset_settings(
    preset: str, recipe: str, data: Path, target: Path, assignments: list[str]
) -> tuple[Settings, str]:
    """Return the settings of a new run, and the text of goldfold.toml that gives them.

    Raises:
        SettingsError: an assignment is wrong.
        InputError: unknown preset or recipe.
    """
    import tomllib

    beneath = load_preset(preset)
    head = {"preset": preset, "data": portable(data, target.parent)}
    content = {"competition": {**beneath, **head}, **tomllib.loads(read_recipe(preset, recipe))}
    content = override(content, assignments)
    settings = _at(data, validate_settings(content, f"preset {preset}, recipe {recipe}"))
    competition = content["competition"]

    def text_with(competition: dict[str, Any]) -> str:
        text = _text(preset, recipe, competition)
        return edit_toml(text, {**content, "competition": competition})

    text = text_with({**head, **_difference(competition, beneath)})
    if _at(data, resolve_settings(tomllib.loads(text), target)) != settings:
        # The preset lies beneath key by key: what an assignment left out would come back.
        text = text_with({key: value for key, value in competition.items() if key != "preset"})
    # What is written is read again before anything is said of it.
    return _at(data, resolve_settings(tomllib.loads(text), target)), text


def _at(data: Path, settings: Settings) -> Settings:
    """Return the settings with the data folder as an absolute path."""
    competition = settings.competition.model_copy(update={"data": data.resolve()})
    return settings.model_copy(update={"competition": competition})


def _difference(above: dict[str, Any], beneath: dict[str, Any]) -> dict[str, Any]:
    """Return the values of `above` that `beneath` has not, tables key by key.

    >>> _difference({"a": {"x": 1, "y": 3}, "b": 1}, {"a": {"x": 1, "y": 2}, "b": 1})
    {'a': {'y': 3}}
    """
    difference: dict[str, Any] = {}
    for key, value in above.items():
        old = beneath.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            if inner := _difference(value, old):
                difference[key] = inner
        elif key not in beneath or value != old:
            difference[key] = value
    return difference


def _text(preset: str, recipe: str, competition: dict[str, Any]) -> str:
    """Return goldfold.toml: where it comes from, the competition, then the recipe as it stands."""
    lines = [
        f"# Made by: goldfold init {preset} --recipe {recipe}",
        "# Every setting: goldfold config schema; as resolved: goldfold config show RUN",
        "",
        to_toml({"competition": competition}).strip(),
        "",
        read_recipe(preset, recipe).rstrip(),
        "",
    ]
    return "\n".join(lines)


def portable(data: Path, output: Path) -> str:
    """Return the data folder as seen from the run directory if they are close, else absolutely.

    Two folders that lie beside each other can so be moved together.
    """
    data, output = data.resolve(), output.resolve()
    try:
        relative = Path(os.path.relpath(data, output))
        common = Path(os.path.commonpath([data, output]))
    except ValueError:  # another drive
        return data.as_posix()
    close = relative.parts.count("..") <= MOST_STEPS_UP and common != Path(common.anchor)
    return relative.as_posix() if close else data.as_posix()
