"""`goldfold submit`: write, check and score submissions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goldfold.commands.options import Assignments, Json, Overwrite, RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.commands.context import Run
    from goldfold.settings import CompetitionSettings

app = typer.Typer(
    help="Write, check and score submissions.\n\nExample:\n\ngoldfold submit write runs/first",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Competition = Annotated[
    str | None,
    typer.Option(
        metavar="PRESET|RUN",
        help="Preset or run directory that says columns, dialect and metric (a run also the sizes "
        "of its images); else told by the header.",
    ),
]
Submission = Annotated[Path, typer.Argument(metavar="FILE", help="The submission.")]


@app.command("write")
def write(
    run_folder: RunFolder, overwrite: Overwrite = False, assignments: Assignments = None
) -> None:
    """Apply the chosen thresholds to the test predictions and write the submission.

    Example:
    goldfold submit write runs/first

    Next: goldfold submit check runs/first/submission.csv --sample sample_submission.csv
    """
    from goldfold.commands import show
    from goldfold.commands.context import ensure_images, open_run
    from goldfold.commands.folds_stage import require_folds

    run = open_run(run_folder, assignments)
    images = ensure_images(run)
    path = ensure_submission(run, images, require_folds(run, images), overwrite=overwrite)
    show.out(f"submission: {path}")
    show.out(f"next: {check_command(run, path)}")


def check_command(run: Run, path: Path) -> str:
    """Return the command that checks the submission of a run."""
    import shlex

    from goldfold.commands.submission_stage import sample_path

    found, here = sample_path(run), Path.cwd()
    inside = found.is_relative_to(here)
    sample = ["--sample", str(found.relative_to(here) if inside else found)]
    form = ["--competition", str(run.directory.root)]
    return shlex.join(["goldfold", "submit", "check", str(path), *sample, *form])


@app.command("check")
def check(
    file: Submission,
    sample: Annotated[Path, typer.Option(help="The competition's sample submission.")],
    competition: Competition = None,
    as_json: Json = False,
) -> None:
    """Name every fault of a submission, with its row. Exit code 2 if there is one.

    Example:
    goldfold submit check runs/first/submission.csv --sample data/sample_submission.csv
    """
    from goldfold.commands import show
    from goldfold.competitions.rle import get_dialect
    from goldfold.submissions.check import check_submission

    form, shapes = find_form(sample, competition)
    report = check_submission(
        file,
        sample,
        id_column=form.submission.id_column,
        rle_column=form.submission.rle_column,
        dialect=get_dialect(form.submission.dialect),
        shape=form.images.shape,
        shapes=shapes,
    )
    if as_json:
        show.out_json(report.to_json())
    else:
        show.out(str(report))
        for warning in report.warnings:
            show.terminal_progress().warn(warning)
    if not report.ok:
        raise typer.Exit(2)


@app.command("score")
def score(
    file: Submission,
    solution: Annotated[
        Path, typer.Option(help="The truth: ids, masks, and a Usage column if there is one.")
    ],
    competition: Competition = None,
    only_submitted: Annotated[
        bool,
        typer.Option("--only-submitted", help="Score the file's images where there are more."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Score a submission as the competition does: overall, Public and Private.

    Example:
    goldfold submit score runs/first/submission.csv --solution data/solution.csv
    """
    from goldfold.commands import show
    from goldfold.competitions.rle import get_dialect
    from goldfold.submissions.score import score_submission

    form, shapes = find_form(solution, competition)
    scores = score_submission(
        file,
        solution,
        metric=form.metric,
        id_column=form.submission.id_column,
        rle_column=form.submission.rle_column,
        dialect=get_dialect(form.submission.dialect),
        solution_dialect=get_dialect(form.labels.dialect),
        shape=form.images.shape,
        shapes=shapes,
        only_submitted=only_submitted,
    )
    if as_json:
        show.out_json(scores.to_json())
        return
    print_scores(scores)


def print_scores(scores: Any) -> None:
    """Print the parts of a score beside the all-empty submission's."""
    from goldfold.commands import show

    headers = ["part", scores.metric, "all-empty", "gain", "images", "non-empty", "predicted"]
    rows = [
        [
            name,
            f"{part.score:.5f}",
            f"{part.all_empty:.5f}",
            f"{part.score - part.all_empty:+.5f}",
            part.images,
            part.non_empty,
            part.predicted_non_empty,
        ]
        for name, part in scores.parts.items()
    ]
    show.out(show.table(headers, rows))
    for warning in scores.warnings:
        show.terminal_progress().warn(warning)


def find_form(
    table: Path, name: str | None
) -> tuple[CompetitionSettings, dict[str, tuple[int, int]] | None]:
    """Return the competition of a table, and the sizes of its images if a run knows them.

    Args:
        table: sample submission or solution.
        name: of a preset, or a run directory; None = the preset with these columns.

    Raises:
        InputError: there is no such preset or run, or no preset (or several) has these columns.
    """
    from goldfold.commands.context import open_run
    from goldfold.commands.submission_stage import test_shapes
    from goldfold.competitions.images_table import read_images

    if name is None or not Path(name).is_dir():
        return _form_of(table, name), None
    run = open_run(Path(name))
    known = run.directory.images.is_file()
    shapes = test_shapes(read_images(run.directory.images)) if known else None
    return run.settings.competition, shapes


def _form_of(table: Path, preset: str | None) -> CompetitionSettings:
    from goldfold.competitions.preset import load_preset, preset_names
    from goldfold.errors import InputError, did_you_mean
    from goldfold.settings import CompetitionSettings
    from goldfold.submissions.table import read_table, show_header

    if preset is not None and preset not in preset_names():
        raise InputError(
            f"--competition {preset}: neither a preset ({', '.join(preset_names())}) nor a run "
            f"directory.{did_you_mean(preset, preset_names())}"
        )
    if preset is not None:
        return CompetitionSettings.model_validate(load_preset(preset))
    columns = {column.strip() for column in read_table(table).columns}
    known = [CompetitionSettings.model_validate(load_preset(name)) for name in preset_names()]
    fitting = [
        one for one in known if {one.submission.id_column, one.submission.rle_column} <= columns
    ]
    if len(fitting) != 1:
        raise InputError(
            f"{table}: the header {show_header(sorted(columns))} fits {len(fitting)} of the "
            f"presets. Name one with --competition: {', '.join(preset_names())}."
        )
    return fitting[0]


def ensure_submission(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, overwrite: bool = False
) -> Path:
    """Return the submission, written anew if what it is made from changed.

    Raises:
        InputError: predictions, ensemble or sample are missing or outdated, or a file of that
            name is there that was not written here.
    """
    from goldfold.commands.submission_stage import (
        refuse_foreign_submission,
        submission_made_from,
        write_run_submission,
    )

    path = run.directory.submission(run.settings.submission.file)
    made_from = submission_made_from(run, images, folds)
    record = run.directory.stage("submission")
    if not overwrite:
        refuse_foreign_submission(run, path)
        if path.is_file() and record.is_current(made_from):
            run.progress.say("submission: up to date")
            return path
    record.forget()
    write_run_submission(run, images, folds, path)
    record.write(made_from)
    return path
