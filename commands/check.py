"""`goldfold check`: every problem in the data, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from goldfold.commands.options import Assignments, Json, RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from goldfold.competitions.data_report import DataReport
    from goldfold.pipeline.open_run import OpenRun


def check(
    run_folder: RunFolder,
    headers_only: Annotated[
        bool, typer.Option("--headers-only", help="Do not decode the pixels; much faster.")
    ] = False,
    as_json: Json = False,
    assignments: Assignments = None,
) -> None:
    """Read every table, header and image of the competition and list all that is wrong.

    RUN/check.png shows some images with their labels, and those that need a look. Exit code 2 if
    there is a problem; what a setting handles is a notice.

    Example:
    goldfold check runs/first

    Next: goldfold folds build runs/first
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.errors import plural
    from goldfold.open_questions import not_asked
    from goldfold.pipeline.group_questions import group_problems
    from goldfold.pipeline.images_stage import collect_anew
    from goldfold.pipeline.network_problems import network_problems
    from goldfold.pipeline.open_questions import how_to_answer, question_problems
    from goldfold.pipeline.submission_layout import sample_problems

    run = open_run(run_folder, assignments)
    images, report = collect_anew(run)
    run.take_tables(images)
    report.problems += sample_problems(run)
    if not report.problems:  # a table with problems lacks images that the folds would have
        problems, notices = group_problems(run)
        report.problems += [*problems, *_impossible_folds(run)]
        report.notices += notices
        report.problems += network_problems(run)[0]
    sheet = None if headers_only else _look_at_pixels(run, images, report)
    asked = question_problems(run)
    report.problems = [*not_asked(report.problems, run.settings.questions), *asked]
    if as_json:
        show.out_json(
            {
                "problems": report.problems,
                "notices": report.notices,
                "facts": report.facts,
                "sheet": None if sheet is None else str(sheet),
            }
        )
    else:
        for name, count in report.facts.items():
            show.out(f"{name}: {count:,}")
        for notice in report.notices:
            show.out(f"notice: {notice}")
        for problem in report.shown_problems():
            show.out(f"PROBLEM: {problem}")
        if asked:
            show.out(how_to_answer(run))
        many = len(report.problems)
        if sheet is not None:
            show.out(f"images with their labels: {sheet}")
        show.out(plural(many, "problem", "problems") if many else "no problems")
        if report.causes:
            show.out("--json lists them all")
        if not many:
            show.out(f"next: {run.command('folds build')}")
    if report.problems:
        raise typer.Exit(2)


def _impossible_folds(run: OpenRun) -> list[str]:
    """Return why the images cannot be split as the settings ask for."""
    from goldfold.errors import InputError
    from goldfold.pipeline.prediction_rows import refuse_split_rows
    from goldfold.pipeline.split import split_images

    try:
        refuse_split_rows(run, split_images(run))
    except InputError as error:
        return [" ".join(line.strip() for line in str(error).splitlines())]
    return []


def _look_at_pixels(run: OpenRun, images: pd.DataFrame, report: DataReport) -> Path | None:
    """Add what is wrong with the pixels to the report, and return the path of the contact sheet."""
    from goldfold.pipeline.check_sheet import write_check_sheet
    from goldfold.pipeline.image_check import check_pixels

    return write_check_sheet(run, images, check_pixels(run, images, report))
