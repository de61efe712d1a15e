"""`goldfold submit`: write, check, score, compare, select and explain submissions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.submission_stage import ensure_submission

    run = open_run(run_folder, assignments)
    path = ensure_submission(run, overwrite=overwrite)
    show.out(f"submission: {path}")
    tell_what_next(run, path)


def tell_what_next(run: OpenRun, path: Path) -> None:
    """Print what known test images say of a submission, and how to check it."""
    from goldfold.commands import show
    from goldfold.commands.class_print import print_test_judgement
    from goldfold.pipeline.class_submission import judge_test_images

    if not run.settings.competition.is_classification:
        show.out(f"next: {check_command(run, path)}")
        return
    if (found := judge_test_images(run)) is not None:
        print_test_judgement(found)
    if run.settings.competition.submission.sample:
        show.out(f"next: {check_command(run, path)}")


def check_command(run: OpenRun, path: Path) -> str:
    """Return the command that checks the submission of a run."""
    import shlex

    from goldfold.pipeline.submission_layout import sample_path

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
    from goldfold.pipeline.submission_form import find_form
    from goldfold.pipeline.submission_layout import layout_of
    from goldfold.submissions.check import check_submission

    form, shapes = find_form(sample, competition)
    report = check_submission(
        file,
        sample,
        layout=layout_of(form),
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
    from goldfold.commands.class_print import show_label_score
    from goldfold.competitions.rle import get_dialect
    from goldfold.pipeline.submission_form import find_form, score_classes
    from goldfold.submissions.score import score_submission

    form, shapes = find_form(solution, competition)
    if form.is_classification:
        show_label_score(score_classes(file, solution, form), as_json=as_json)
        return
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
        solution_rle_column=form.labels.rle_column,
        class_column=form.submission.class_column,
        class_separator=form.submission.class_separator,
        objects=form.submission.objects,
        only_submitted=only_submitted,
    )
    if as_json:
        show.out_json(scores.to_json())
        return
    print_scores(scores)


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
    from goldfold.commands.submit_compare import show_comparison
    from goldfold.pipeline.comparison import compare_files

    found = compare_files(first, second, competition)
    if as_json:
        show.out_json(found.to_json())
        return
    show_comparison(found, first, second, show_images)


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
    """Choose the two submissions to hand in: the best, and the most different nearly as good.

    Example:
    goldfold submit select runs/first runs/second runs/third --tolerance 0.01
    """
    from goldfold.commands import show
    from goldfold.pipeline.selection import select_runs

    found = select_runs(run_folders, tolerance, show.terminal_progress())
    if as_json:
        show.out_json(found)
        return
    rows = [
        [
            one["submission"],
            f"{one['honest']:.4f}",
            "" if one["agreement"] is None else f"{one['agreement']:.4f}",
            one["verdict"],
        ]
        for one in found["candidates"]
    ]
    agrees = f"agrees with the best, {found['agreement_by']}"
    show.out(show.table(["submission", "honest", agrees, ""], rows))
    if found["other"] is None:
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

    A training image is explained by its out-of-fold prediction and held against the truth.

    Example:
    goldfold submit explain runs/first ID_0123
    """
    import numpy as np

    from goldfold.commands import show
    from goldfold.commands.class_print import print_label_explanation
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.class_explanation import explain_labels
    from goldfold.pipeline.explanation import explain, image_row, overlay_path
    from goldfold.submissions.overlay import write_overlay

    run = open_run(run_folder, assignments)
    path = picture or overlay_path(run, image_id)
    if run.settings.competition.is_classification:
        facts, panel = explain_labels(run, image_row(run, image_id))
        write_overlay(path, panel)
        facts["picture"] = str(path)
        if as_json:
            show.out_json(facts)
            return
        print_label_explanation(facts)
        show.out(f"picture: {path}")
        return
    found = explain(run, image_id)
    write_overlay(path, np.concatenate([one.panels for one in found]))
    told = [one.facts | {"picture": str(path)} for one in found]
    if as_json:
        show.out_json(told if len(told) > 1 else told[0])
        return
    for facts in told:
        print_explanation(facts)
    show.out(f"picture: {path}")


def print_explanation(facts: dict[str, Any]) -> None:
    """Print why an image got a mask."""
    from goldfold.commands import show

    told = [
        [name, one["weight"], f"{one['highest_probability']:.3f}", one["px_from_top"],
         one["px_from_bottom"], "" if one["presence"] is None else f"{one['presence']:.3f}"]
        for name, one in [
            *((one["member"], one) for one in facts["members"]),
            ("blend", facts["blend"] | {"weight": ""}),
        ]
    ]  # fmt: skip
    top, bottom = facts["rule"]["top"]["probability"], facts["rule"]["bottom"]["probability"]
    headers = ["", "weight", "highest", f"px from {top:.3f}", f"px from {bottom:.3f}", "presence"]
    show.out(show.table(headers, told))
    named = f"{facts['image_id']} {facts['class']}" if "class" in facts else facts["image_id"]
    show.out(f"{named}: {facts['verdict']}; {facts['mask_px']:,} px")
    if "score" in facts:
        show.out(f"true mask: {facts['true_px']:,} px; {facts['metric']} {facts['score']:.4f}")


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
