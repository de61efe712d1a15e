"""`goldfold submit`: write, check, score, compare, select and explain submissions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldfold.commands.options import Assignments, Json, Overwrite, RunFolder

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun

app = typer.Typer(
    help="Write, check, score, compare and explain submissions.\n\n"
    "Example:\n\ngoldfold submit write runs/first",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Competition = Annotated[
    str | None,
    typer.Option(
        metavar="PRESET|RUN",
        help="Preset or run directory with columns, dialect and metric (and image sizes, for a "
        "run); by default recognised from the header.",
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
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.submission_stage import ensure_submission

    run = open_run(run_folder, assignments)
    path = ensure_submission(run, overwrite=overwrite)
    show.out(f"submission: {path}")
    tell_what_next(run, path)


def tell_what_next(run: OpenRun, path: Path) -> None:
    """Print what known test images say of a submission, and how to check it."""
    from goldfold.commands import show
    from goldfold.pipeline.members import Members

    show.lines(run.task.judge_test(run, Members(run)))
    if run.task.needs_sample:
        show.out(f"next: {check_command(run, path)}")


def check_command(run: OpenRun, path: Path) -> str:
    """Return the command that checks the submission of a run."""
    import shlex

    from goldfold.pipeline.submission_layout import sample_path

    sample_file, here = sample_path(run), Path.cwd()
    inside = sample_file.is_relative_to(here)
    sample = ["--sample", str(sample_file.relative_to(here) if inside else sample_file)]
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
    from goldfold.pipeline.submission_form import find_form
    from goldfold.submissions.check import check_submission
    from goldfold.tasks.submission_layout import layout_of

    form, shapes = find_form(sample, competition)
    report = check_submission(
        file,
        sample,
        layout=layout_of(form),
        shape=form.mask_size or form.images.shape,
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
        typer.Option(
            "--only-submitted",
            help="Score only the images of the file, even if the solution has more.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Score a submission as the competition does: overall, Public and Private.

    Example:
    goldfold submit score runs/first/submission.csv --solution data/solution.csv
    """
    from goldfold.commands import show
    from goldfold.pipeline.submission_form import find_form
    from goldfold.tasks.registry import task_of

    form, shapes = find_form(solution, competition)
    task = task_of(form)
    scores = task.score(file, solution, shapes, only_submitted=only_submitted)
    if as_json:
        show.out_json(scores.to_json())
        return
    show.lines(task.score_lines(scores))
    for warning in scores.warnings:
        show.terminal_progress().warn(warning)


@app.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(metavar="FILE", help="A submission.")],
    second: Annotated[Path, typer.Argument(metavar="OTHER", help="Another for the same images.")],
    competition: Competition = None,
    show_images: Annotated[
        int, typer.Option("--images", min=0, help="How many of the images that differ to list.")
    ] = 10,
    as_json: Json = False,
) -> None:
    """Show where two submissions differ: ids, agreement, empty masks or classes, images to look at.

    Example:
    goldfold submit compare runs/first/submission.csv runs/second/submission.csv

    Next: goldfold submit explain runs/first ID
    """
    from goldfold.commands import show
    from goldfold.pipeline.comparison import compare_files

    task, comparison = compare_files(first, second, competition)
    if as_json:
        show.out_json(comparison.to_json())
        return
    for file, ids in ((first, comparison.only_first), (second, comparison.only_second)):
        if ids:
            show.out(f"only in {file}: {len(ids):,} images, such as {', '.join(ids[:3])}")
    show.lines(task.comparison_lines(comparison, first, second, show_images))


@app.command("select")
def select(
    run_folders: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run directories with submissions.")
    ],
    tolerance: Annotated[
        float, typer.Option(help="How far below the best honest score the second may lie.")
    ] = 0.005,
    as_json: Json = False,
) -> None:
    """Choose the two submissions to hand in: the best, and a different one nearly as good.

    Example:
    goldfold submit select runs/first runs/second runs/third --tolerance 0.01
    """
    from goldfold.commands import show
    from goldfold.pipeline.selection import select_runs

    selection = select_runs(run_folders, tolerance, show.terminal_progress())
    if as_json:
        show.out_json(selection)
        return
    rows = [
        [
            candidate["submission"],
            f"{candidate['honest']:.4f}",
            "" if candidate["agreement"] is None else f"{candidate['agreement']:.4f}",
            candidate["verdict"],
        ]
        for candidate in selection["candidates"]
    ]
    agrees = f"agrees with the best, {selection['agreement_by']}"
    show.out(show.table(["submission", "honest", agrees, ""], rows))
    if selection["other"] is None:
        show.out(f"no second one within {tolerance:g} of the best: raise --tolerance")


@app.command("explain")
def explain_command(
    run_folder: RunFolder,
    image_id: Annotated[str, typer.Argument(metavar="ID", help="A test or training image.")],
    picture: Annotated[
        Path | None, typer.Option("-o", "--output", help="PNG to write; in the run unless given.")
    ] = None,
    as_json: Json = False,
    assignments: Assignments = None,
) -> None:
    """Say why an image got its mask or its classes, from what every member saw.

    A training image is explained by its out-of-fold prediction and compared with the truth.

    Example:
    goldfold submit explain runs/first ID_0123
    """
    import numpy as np

    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.explanation import explain, overlay_path
    from goldfold.submissions.overlay import write_overlay

    run = open_run(run_folder, assignments)
    path = picture or overlay_path(run, image_id)
    explanations = explain(run, image_id)
    write_overlay(path, np.concatenate([part.panels for part in explanations]))
    if as_json:
        facts = [part.facts | {"picture": str(path)} for part in explanations]
        show.out_json(facts if len(facts) > 1 else facts[0])
        return
    for part in explanations:
        show.lines(part.lines)
    show.out(f"picture: {path}")
