"""`goldfold config`: settings as resolved, and all that can be set."""

from __future__ import annotations

from typing import Annotated

import typer

from goldfold.commands.options import Assignments, Json, RunFolder

app = typer.Typer(
    help="Show the settings of a run, and the schema of all settings.\n\n"
    "Example:\n\ngoldfold config show runs/first",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("show")
def show_command(
    run_folder: RunFolder, as_json: Json = False, assignments: Assignments = None
) -> None:
    """Show every setting of a run, the preset's and the defaults included, as TOML.

    Example:
    goldfold config show runs/first --set folds.count=10
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.settings_text import to_toml

    content = open_run(run_folder, assignments).settings.model_dump(mode="json")
    if as_json:
        show.out_json(content)
    else:
        show.out(to_toml(content).strip())


@app.command("schema")
def schema(
    presets: Annotated[
        bool, typer.Option("--presets", help="List presets and their recipes instead.")
    ] = False,
) -> None:
    """Print the JSON schema of goldfold.toml, with a description of every setting.

    Example:
    goldfold config schema > goldfold.schema.json
    """
    from goldfold.commands import show
    from goldfold.competitions.preset import load_preset, preset_names, recipe_names
    from goldfold.settings import Settings

    if presets:
        rows = [
            [name, load_preset(name)["title"], ", ".join(recipe_names(name))]
            for name in preset_names()
        ]
        show.out(show.table(["preset", "title", "recipes"], rows))
        return
    show.out_json(Settings.model_json_schema())
