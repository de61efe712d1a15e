"""`goldfold init`: a run directory for a competition."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldfold.commands.options import Assignments, Overwrite

if TYPE_CHECKING:
    from goldfold.settings import Settings

_OWN_OPTIONS = {
    "competition": "--data",
    "competition.data": "--data",
    "competition.preset": "the first argument",
}


def init(
    preset: Annotated[
        str | None, typer.Argument(help="Name of a preset, e.g. siim-acr-pneumothorax.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Run directory to make.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with the competition's files.")
    ] = None,
    from_data: Annotated[
        Path | None,
        typer.Option("--from", metavar="DATA", help="Folder of files that no preset knows."),
    ] = None,
    interactive: Annotated[
        bool,
        typer.Option("--interactive", help="Ask about every choice; each guess can be changed."),
    ] = False,
    recipe: Annotated[str, typer.Option(help="Recipe of the preset.")] = "default",
    assignments: Assignments = None,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Measure how long training takes here.")
    ] = True,
    overwrite: Overwrite = False,
) -> None:
    """Write goldfold.toml for a competition and say what was found in its folder.

    With --from instead of a preset it looks at the files: label tables, masks, class folders,
    sample submissions. It prints the evidence for each guess. What they do not tell becomes a
    question in goldfold.toml, which stops the run until it is answered.

    Example:
    goldfold init siim-acr-pneumothorax --data data/siim -o runs/first

    Next: goldfold check runs/first
    """
    from goldfold.commands import show
    from goldfold.commands.init_from import init_from
    from goldfold.errors import InputError
    from goldfold.rundirectory import RunDirectory

    if from_data is not None or interactive:
        if preset is not None or data is not None:
            raise InputError(
                "--from and --interactive look at a folder of files instead of a preset and "
                "--data: `goldfold init --from DATA -o RUN`."
            )
        _refuse_own_options(assignments or [])
        if interactive:
            from_data = from_data or _ask_for_folder("Folder with the competition's files")
            output = output or _ask_for_folder("Run directory to make", Path("runs/first"))
        target = RunDirectory(_required(output)).settings
        assert from_data is not None
        settings = init_from(
            from_data, target, assignments or [], interactive=interactive, overwrite=overwrite
        )
        if measure:
            _say_time(settings)
    else:
        if preset is None or data is None:
            raise InputError(
                "name a preset and its files, `goldfold init PRESET --data DATA -o RUN`, or the "
                f"files alone, `goldfold init --from DATA -o RUN`. Presets: {_known_presets()}."
            )
        target = RunDirectory(_required(output)).settings
        _init_preset(
            preset, data, target, recipe, assignments or [], measure=measure, overwrite=overwrite
        )
    show.out(f"next: goldfold check {shlex.quote(str(output))}")


def _required(output: Path | None) -> Path:
    """Return the run directory.

    Raises:
        InputError: it was not named.
    """
    from goldfold.errors import InputError

    if output is None:
        raise InputError("Missing option '--output' / '-o': the run directory to make.")
    return output


def _ask_for_folder(what: str, guess: Path | None = None) -> Path:
    """Return a folder that is typed in."""
    return Path(str(typer.prompt(what, default=None if guess is None else str(guess), err=True)))


def _known_presets() -> str:
    from goldfold.competitions.preset import preset_names

    return ", ".join(preset_names())


def _init_preset(
    preset: str,
    data: Path,
    target: Path,
    recipe: str,
    assignments: list[str],
    *,
    measure: bool,
    overwrite: bool,
) -> None:
    """Write the settings of a preset and say what was found.

    Raises:
        InputError: unknown preset or recipe, missing files, or another goldfold.toml is there.
    """
    from goldfold.commands import show
    from goldfold.commands.init_describe import (
        describe,
        recipe_lines,
        warn_without_images,
    )
    from goldfold.pipeline.new_run import preset_settings, write_settings

    _refuse_own_options(assignments)
    settings, text = preset_settings(preset, recipe, data, target, assignments)
    facts = describe(settings.competition)
    write_settings(target, text, overwrite=overwrite)
    show.out(settings.competition.title)
    for line in [*recipe_lines(preset, recipe), *facts]:
        show.out(f"  {line}")
    show.out(f"wrote {target}")
    warn_without_images(settings.competition)
    if measure:
        _say_time(settings)


def _say_time(settings: Settings) -> None:
    from goldfold.commands import show
    from goldfold.commands.init_describe import expected

    show.terminal_progress().say("measuring how long training takes (--no-measure leaves this out)")
    show.out(f"training: {expected(settings)}")


def _refuse_own_options(assignments: list[str]) -> None:
    """Raise SettingsError if --set says what `goldfold init` has its own word for."""
    from goldfold.errors import SettingsError

    for assignment in assignments:
        key = assignment.partition("=")[0].strip()
        if key in _OWN_OPTIONS:
            raise SettingsError(
                f"--set {assignment!r}: use {_OWN_OPTIONS[key]} of `goldfold init`."
            )
