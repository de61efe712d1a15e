"""`goldfold init`: a run directory for a competition."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldfold.commands.options import Assignments, Overwrite

if TYPE_CHECKING:
    from goldfold.settings import CompetitionSettings


def init(
    preset: Annotated[str, typer.Argument(help="Name of a preset, e.g. siim-acr-pneumothorax.")],
    data: Annotated[Path, typer.Option("--data", help="Folder with the competition's files.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Run directory to make.")],
    recipe: Annotated[str, typer.Option(help="Recipe of the preset.")] = "default",
    assignments: Assignments = None,
    overwrite: Overwrite = False,
) -> None:
    """Write goldfold.toml for a competition and say what was found in its folder.

    Example:
    goldfold init siim-acr-pneumothorax --data data/siim -o runs/first

    Next: goldfold check runs/first
    """
    from goldfold.commands import show
    from goldfold.errors import InputError
    from goldfold.files import write_text
    from goldfold.rundirectory import RunDirectory
    from goldfold.settings_file import validate_settings

    target = RunDirectory(output).settings
    content = _content(preset, recipe, assignments or [], data.resolve())
    settings = validate_settings(content, f"preset {preset}, recipe {recipe}")
    found = _describe(settings.competition)
    text = _text(preset, recipe, data, output, assignments or [])
    if target.is_file() and not overwrite and target.read_bytes() != text.encode():
        raise InputError(
            f"{target} is already there and says something else. Choose another -o, or add "
            "--overwrite to replace it."
        )
    write_text(target, text)
    show.out(settings.competition.title)
    for line in found:
        show.out(f"  {line}")
    show.out(f"wrote {target}")
    show.out(f"next: goldfold check {shlex.quote(str(output))}")


def _content(preset: str, recipe: str, assignments: list[str], data: Path) -> dict[str, object]:
    import tomllib

    from goldfold.competitions.preset import load_preset, read_recipe
    from goldfold.settings_file import override

    base = {"competition": load_preset(preset), **tomllib.loads(read_recipe(preset, recipe))}
    content = override(base, assignments)
    content["competition"]["data"] = str(data)
    return content


def _describe(competition: CompetitionSettings) -> list[str]:
    """Return what is there, without opening an image.

    Raises:
        InputError: the folder or the label table is missing.
    """
    from goldfold.competitions.find import (
        find_images,
        find_table,
        require_folder,
        require_table,
    )
    from goldfold.competitions.labels import read_labels
    from goldfold.competitions.rle import get_dialect

    data = require_folder(competition.data)
    lines = []
    for split, globs in (("training", competition.images.train), ("test", competition.images.test)):
        lines.append(f"{split} images: {len(find_images(data, globs)):,}")
    names = competition.labels
    path = require_table(data, names.files, "label table", "competition.labels.files")
    dialect = get_dialect(names.dialect)
    labels = read_labels(path, names.id_column, names.rle_column, dialect).table
    empty = int((labels["area_px"] == 0).sum())
    share = f"{empty / len(labels):.1%} empty" if len(labels) else "none"
    lines.append(
        f"labels: {path.name}, {int(labels['rows'].sum()):,} rows "
        f"of {len(labels):,} images, {share}"
    )
    sample = find_table(data, competition.submission.sample)
    lines.append(f"sample submission: {sample.name if sample else 'none'}")
    for extra in competition.tables:
        state = "found" if find_table(data, [extra.file]) else "not there"
        lines.append(f"{extra.file} ({', '.join(extra.columns)}): {state}")
    return lines


def _text(preset: str, recipe: str, data: Path, output: Path, assignments: list[str]) -> str:
    """Return goldfold.toml: the competition by name, then the recipe as it stands."""
    from goldfold.competitions.preset import read_recipe

    lines = [
        f"# Made by: goldfold init {preset} --recipe {recipe}",
        "# Every setting: goldfold config schema; as resolved: goldfold config show RUN",
        "",
        "[competition]",
        f'preset = "{preset}"',
        f"data = {_quoted(_relative(data, output))}",
        "",
        read_recipe(preset, recipe).rstrip(),
        "",
    ]
    text = "\n".join(lines)
    return _with_assignments(text, assignments) if assignments else text


def _with_assignments(text: str, assignments: list[str]) -> str:
    """Return the settings with the assignments in place, comments lost."""
    import tomllib

    from goldfold.settings_file import override
    from goldfold.settings_text import to_toml

    head = "\n".join(line for line in text.splitlines()[:2])
    return f"{head}\n\n{to_toml(override(tomllib.loads(text), assignments))}"


def _relative(data: Path, output: Path) -> str:
    """Return the data folder as seen from the run directory, so that both can move together."""
    try:
        return Path(os.path.relpath(data.resolve(), output.resolve())).as_posix()
    except ValueError:  # another drive
        return data.resolve().as_posix()


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)
