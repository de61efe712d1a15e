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


@app.command("answer")
def answer_command(
    run_folder: RunFolder,
    answers: Annotated[
        list[str],
        typer.Argument(help="SETTING=VALUE, or SETTING alone if its present value is right."),
    ],
) -> None:
    """Answer open questions of goldfold.toml: set their settings and delete the questions.

    Example:
    goldfold config answer runs/first competition.labels.dialect=row-major

    Next: goldfold check runs/first
    """
    import shlex
    import tomllib

    from goldfold.commands import show
    from goldfold.competitions.preset import resolve_settings
    from goldfold.errors import plural
    from goldfold.files import write_text
    from goldfold.open_questions import answer
    from goldfold.rundirectory import RunDirectory
    from goldfold.settings_file import read_toml

    path = RunDirectory(run_folder).settings
    read_toml(path)  # names what is wrong with the file
    text, answered = answer(path.read_text(encoding="utf-8"), answers, str(path))
    settings = resolve_settings(tomllib.loads(text), path)
    write_text(path, text)
    for setting in answered:
        show.out(f"answered: {setting}")
    left = settings.questions
    for setting, question in left.items():
        show.out(f"open: {setting}: {question}")
    show.out(plural(len(left), "open question", "open questions") if left else "no open questions")
    if not left:
        show.out(f"next: goldfold check {shlex.quote(str(run_folder))}")


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
