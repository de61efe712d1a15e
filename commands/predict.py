"""`goldfold predict`: probability maps out of fold and on the test images."""

from __future__ import annotations

from typing import Annotated

import typer

from goldfold.commands.options import Assignments, DryRun, RunFolder

app = typer.Typer(
    help="Predict with trained models.\n\nExample:\n\ngoldfold predict run runs/first",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Keep `run` a subcommand while it is the only one."""


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
    dry_run: DryRun = False,
    assignments: Assignments = None,
) -> None:
    """Predict with the best checkpoints of each fold; what is stored already is passed over.

    Example:
    goldfold predict run runs/first --out-of-fold

    Next: goldfold ensemble run runs/first
    """
    from goldfold.commands import show
    from goldfold.commands.context import ensure_images, open_run, peek_images
    from goldfold.commands.folds_stage import require_folds
    from goldfold.commands.plan import plan_predictions
    from goldfold.commands.prediction_stage import Split, predict_all, ready_jobs
    from goldfold.competitions.images_table import test_images

    run = open_run(run_folder, assignments)
    images = peek_images(run)[0] if dry_run else ensure_images(run)
    wanted: dict[Split, bool] = {"out-of-fold": out_of_fold, "test": test}
    splits = [split for split, asked in wanted.items() if asked]
    if not splits:
        splits = ["out-of-fold", "test"] if len(test_images(images)) else ["out-of-fold"]
    folds = require_folds(run, images)
    if dry_run:
        for line in plan_predictions(run, ready_jobs(run, images, folds), images, folds, splits):
            show.out(line)
        return
    predict_all(run, images, folds, splits)
    show.out(f"predicted {' and '.join(splits)}: {run.directory.root / 'predictions'}")
    show.out(f"next: {run.command('ensemble run')}")
