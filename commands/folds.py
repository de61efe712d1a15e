"""`goldfold folds`: build and audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goldfold.commands.options import Assignments, Json, Overwrite

if TYPE_CHECKING:
    from goldfold.folds.audit import AuditReport

FOLDS_SHOWN = 20
"""Rows of the table of folds that an audit prints."""


app = typer.Typer(
    help="Split the training images without leakage, and audit any split.\n\n"
    "Example:\n\ngoldfold folds build runs/first",
    no_args_is_help=True,
    rich_markup_mode=None,
)


RunOrTable = Annotated[
    Path | None,
    typer.Argument(metavar="[RUN]", help="Run directory; not with a table of your own."),
]
NotGroups = Annotated[
    list[str] | None,
    typer.Option(
        "--not-group",
        metavar="COLUMN",
        help="Of a table without a run: a column that looks like a group but is none.",
    ),
]


@app.command("build")
def build(
    run_folder: RunOrTable = None,
    table: Annotated[
        Path | None, typer.Option(help="Split the images of this CSV instead of a run's.")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", "--id-column", help="Its column with the image id.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="Its column whose equal values stay together; none for no groups."),
    ] = None,
    strata: Annotated[
        list[str] | None,
        typer.Option(help="A column whose values are spread evenly; may be repeated."),
    ] = None,
    separator: Annotated[
        str | None, typer.Option(help="What separates the labels of a cell, such as |.")
    ] = None,
    count: Annotated[int, typer.Option(help="Number of folds of a table.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the split of a table.")] = 0,
    not_groups: NotGroups = None,
    kind: Annotated[
        str, typer.Option(help="Of a table: balanced, leave-one-out or ordered, by --column.")
    ] = "balanced",
    column: Annotated[
        str | None,
        typer.Option(help="Its column whose values are left out in turn, or that gives the order."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="CSV file to write, of a table.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    assignments: Assignments = None,
) -> None:
    """Split the training images into folds: patients whole, labels and mask areas evenly spread.

    Works on a run, or on any CSV table with --table.

    Example:
    goldfold folds build runs/first
    goldfold folds build --table labels.csv --id image_id --group patient_id --strata label -o f.csv

    Next: goldfold train run runs/first
    """
    from goldfold.commands import show

    of_table = id_column, group, strata, separator, not_groups, column, output
    if run_folder is None or table is not None:
        from goldfold.commands.folds_table import build_of_table, require_table_alone

        build_of_table(
            require_table_alone(table, run_folder, "folds build"),
            id_column,
            group,
            strata or [],
            count=count,
            seed=seed,
            separator=separator,
            not_groups=not_groups or [],
            kind=kind,
            column=column,
            output=output,
            overwrite=overwrite,
            as_json=as_json,
        )
        return
    if any(given is not None for given in of_table):
        from goldfold.errors import InputError

        raise InputError(
            "--id, --group, --strata, --separator, --not-group, --column and --output belong to "
            "--table; "
            "what splits a run is [folds] of its goldfold.toml."
        )
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.folds_stage import ensure_folds
    from goldfold.pipeline.folds_words import fold_lines, fold_summary_rows

    run = open_run(run_folder, assignments)
    folds = ensure_folds(run, overwrite=overwrite)
    if as_json:
        show.out_json(fold_summary_rows(folds))
        return
    show.lines(fold_lines(folds))
    show.out(f"folds: {run.directory.folds}")
    show.out(f"next: {run.command('train run')}")


@app.command("audit")
def audit(
    run_folder: RunOrTable = None,
    table: Annotated[
        Path | None,
        typer.Option(help="Fold table to audit, from any source; by default the run's folds.csv."),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", "--id-column", help="Its column with the image id.")
    ] = None,
    fold_column: Annotated[
        str | None, typer.Option("--fold", "--fold-column", help="Its column with the fold.")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(help="Without a run: a column whose equal values belong together."),
    ] = None,
    not_groups: NotGroups = None,
    pixels: Annotated[
        bool | None,
        typer.Option(
            "--pixels/--no-pixels",
            help="Compare pixels across folds, which decodes every image. "
            "By default only if the files have at most 2 GB.",
        ),
    ] = None,
    as_json: Json = False,
    assignments: Assignments = None,
) -> None:
    """Look for leakage and imbalance in a fold table, with the images of a run or by itself.

    Exit code 1 when it leaks, 2 when it does not fit the run's images.

    Example:
    goldfold folds audit runs/first --table other_folds.csv --fold-column fold
    goldfold folds audit --table folds.csv --group patient_id
    """
    from goldfold.commands import show

    if run_folder is None:
        from goldfold.commands.folds_table import require_table_alone
        from goldfold.folds.any_table import audit_any_table

        path, pixels_compared = require_table_alone(table, None, "folds audit"), False
        report = audit_any_table(path, id_column, fold_column, group or [], not_groups or [])
    else:
        from goldfold.commands.opening import open_run
        from goldfold.pipeline.folds_audit import audit_table

        run = open_run(run_folder, assignments)
        path = table or run.directory.require(run.directory.folds, run.command("folds build"))
        report, pixels_compared = audit_table(run, path, id_column, fold_column, pixels=pixels)
    if as_json:
        show.out_json({"pixels_compared": pixels_compared, **report.to_json()})
    else:
        print_audit(path, report, pixels=pixels_compared)
    if not report.ok:
        raise typer.Exit(1 if report.leaking else 2)


def print_audit(path: Path, report: AuditReport, *, pixels: bool) -> None:
    """Print an audit: counts for each fold, findings, verdict; `pixels` = they were compared."""
    from goldfold.commands import show

    show.out(f"{path}: {report.rows:,} rows, {report.images:,} images, {len(report.folds)} folds")
    counts: dict[str, list[Any]] = {
        "fold": [fold.fold for fold in report.folds],
        "images": [fold.images for fold in report.folds],
        "groups": [fold.groups for fold in report.folds],
        "non-empty": [fold.non_empty for fold in report.folds],
    }
    known = {name: column for name, column in counts.items() if None not in column}
    rows = list(zip(*known.values(), strict=True))[:FOLDS_SHOWN]
    show.out(show.table(list(known), [list(row) for row in rows]))
    if len(report.folds) > FOLDS_SHOWN:
        show.out(f"... and {len(report.folds) - FOLDS_SHOWN:,} more folds")
    if text := report.text():
        show.out(text)
    show.out(_verdict(report, pixels))


def _verdict(report: AuditReport, pixels: bool) -> str:
    from goldfold.errors import plural

    if not report.leaking and not report.judgeable:
        return "cannot be judged: none of its ids is an image of this run"
    verdict = "it leaks" if report.leaking else "no leakage found"
    if report.problems:
        verdict += f", {plural(len(report.problems), 'kind', 'kinds')} of problem"
    return verdict if pixels else f"{verdict}; pixels not compared"
