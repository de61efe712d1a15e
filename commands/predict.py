"""`goldfold predict`: probability maps out of fold and on the test images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goldfold.commands.options import Assignments, Devices, DryRun, Json, Overwrite, RunFolder
from goldfold.commands.predict_image import image_command

app = typer.Typer(
    help="Predict with trained models.\n\nExample:\n\ngoldfold predict run runs/first",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command("image")(image_command)


@app.command("run")
def run_command(
    run_folder: RunFolder,
    out_of_fold: Annotated[
        bool,
        typer.Option(
            "--out-of-fold",
            help="Only the training images, each by the fold models that did not see it.",
        ),
    ] = False,
    test: Annotated[bool, typer.Option("--test", help="Only the test images.")] = False,
    share: Annotated[
        str,
        typer.Option(
            metavar="K/N",
            help="Predict the K-th of N shares, while other processes predict the others.",
        ),
    ] = "1/1",
    devices: Devices = None,
    dry_run: DryRun = False,
    assignments: Assignments = None,
) -> None:
    """Predict with the best checkpoints of each fold; what is stored already is passed over.

    Example:
    goldfold predict run runs/first --out-of-fold

    Next: goldfold ensemble run runs/first
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.images_stage import peek_images
    from goldfold.pipeline.plan import plan_predictions
    from goldfold.pipeline.predictions import Split, ready_jobs, splits_of
    from goldfold.pipeline.side_by_side import predict_all

    run = open_run(run_folder, assignments, devices)
    if dry_run:
        run.take_tables(peek_images(run)[0])
    wanted: dict[Split, bool] = {"out-of-fold": out_of_fold, "test": test}
    splits = [split for split, asked in wanted.items() if asked]
    if not splits:
        splits = splits_of(run)
    if dry_run:
        for line in plan_predictions(run, ready_jobs(run), splits):
            show.out(line)
        return
    predict_all(run, splits, parse_share(share))
    show.out(f"predicted {' and '.join(splits)}: {run.directory.root / 'predictions'}")
    show.out(f"next: {run.command('ensemble run')}")


@app.command("views")
def views_command(
    run_folder: RunFolder,
    views: Annotated[
        list[str] | None,
        typer.Option(
            "--view",
            help="A view such as hflip+rot90 or scale-1.25; may be given several times. "
            "All of d4 unless given.",
        ),
    ] = None,
    as_json: Json = False,
    assignments: Assignments = None,
) -> None:
    """Show what each view of the test-time augmentation gains out of fold, and its cost in time.

    Example:
    goldfold predict views runs/first --view none --view hflip --view scale-1.25

    Next: goldfold predict run runs/first --set inference.views=hflip
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.views_stage import compare_views

    run = open_run(run_folder, assignments)
    comparisons = compare_views(run, views or "d4")
    if as_json:
        show.out_json(comparisons)
        return
    for comparison in comparisons:
        show.out(
            f"{comparison['model']}: honest {comparison['metric']} of "
            f"{comparison['images']:,} held-out images"
        )
        first = comparison["sets"][0]["views"]
        rows = [
            [
                row["views"],
                f"{row['honest']:.4f}",
                f"{row['gain']['mean']:+.4f} "
                f"({row['gain']['low']:+.4f} to {row['gain']['high']:+.4f})",
                f"{row['milliseconds_an_image']:.1f}",
            ]
            for row in comparison["sets"]
        ]
        show.out(show.table(["views", "honest", f"gain over {first}", "ms per image"], rows))
    show.out(f"next: {run.command('predict run')} --set inference.views=NAME")


@app.command("table")
def table_command(
    run_folder: RunFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV file to write.")],
    test: Annotated[
        bool, typer.Option("--test", help="The test images; out of fold unless given.")
    ] = False,
    overwrite: Overwrite = False,
    assignments: Assignments = None,
) -> None:
    """Write the predicted probabilities of classes as a CSV file, for use elsewhere.

    One row per model, seed, fold and image; nine digits name each number exactly.

    Example:
    goldfold predict table runs/first -o out-of-fold.csv
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.errors import InputError
    from goldfold.files import write_text
    from goldfold.pipeline.prediction_table import prediction_table

    if output.exists() and not overwrite:
        raise InputError(f"{output} already exists. Use --overwrite, or another name.")
    run = open_run(run_folder, assignments)
    table = prediction_table(run, "test" if test else "out-of-fold")
    write_text(output, table.to_csv(index=False, lineterminator="\n", float_format="%.9g"))
    show.out(f"{output}: {len(table):,} rows")


def parse_share(text: str) -> tuple[int, int]:
    """Return (k - 1, n) of a share `k/n`.

    Raises:
        InputError: it is none.

    >>> parse_share("2/4")
    (1, 4)
    """
    from goldfold.errors import InputError

    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise InputError(f"--share {text}: expected K/N with K from 1 to N, such as 2/4.")
    return int(first) - 1, int(second)
