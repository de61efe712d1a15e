"""`goldfold run`: all stages in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.commands.options import Assignments, DryRun, Overwrite, RunFolder, StopAfter

if TYPE_CHECKING:
    from goldfold.commands.context import Run


def run(
    run_folder: RunFolder,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    stop_after: StopAfter = None,
    assignments: Assignments = None,
) -> None:
    """Go through all stages; skip what is up to date, go on where it stopped.

    --overwrite trains all folds again. --stop-after 8h30m saves a training in time and ends with
    exit code 75; the same command goes on. Without test images the run ends with the honest score.

    Example:
    goldfold run runs/first

    Next: goldfold submit check runs/first/submission.csv --sample sample_submission.csv
    """
    from goldfold.commands import show
    from goldfold.commands.context import ensure_images, open_run
    from goldfold.commands.folds_stage import require_folds
    from goldfold.commands.plan import plan_run
    from goldfold.commands.submit import tell_what_next

    whole = open_run(run_folder, assignments)
    if dry_run:
        for line in plan_run(whole, overwrite):
            show.out(line)
        return
    if path := run_all(whole, overwrite=overwrite, stop_after=stop_after):
        images = ensure_images(whole)
        tell_what_next(whole, images, require_folds(whole, images), path)


def run_all(run: Run, overwrite: bool = False, stop_after: str | None = None) -> Path | None:
    """Run every stage: images, folds, train, predict, ensemble, submission.

    Returns the submission, or None where there are no test images.
    """
    from goldfold.commands import show
    from goldfold.commands.context import ensure_images
    from goldfold.commands.ensemble_print import print_ensemble
    from goldfold.commands.ensemble_stage import ensure_ensemble
    from goldfold.commands.folds import print_summary
    from goldfold.commands.folds_stage import ensure_folds
    from goldfold.commands.prediction_stage import Split, predict_all
    from goldfold.commands.submission_stage import ensure_submission
    from goldfold.commands.training_stage import (
        choose_jobs,
        choose_machine,
        print_results,
        train_jobs,
    )
    from goldfold.competitions.images_table import test_images
    from goldfold.errors import InputError

    machine = choose_machine(run, stop_after)
    if machine.ranks.world > 1:
        raise InputError(
            "`goldfold run` is one process; under torchrun use `goldfold train run RUN`, then "
            "`goldfold run RUN` without it for the rest."
        )
    images = ensure_images(run)
    folds = ensure_folds(run, images, retrain=overwrite)
    print_summary(folds)
    jobs = choose_jobs(run)
    train_jobs(run, jobs, images, folds, overwrite=overwrite, machine=machine)
    show.out()
    print_results(run, jobs)
    splits: list[Split] = ["out-of-fold", "test"] if len(test_images(images)) else ["out-of-fold"]
    predict_all(run, images, folds, splits)
    show.out()
    print_ensemble(ensure_ensemble(run, images, folds))
    if "test" not in splits:
        run.progress.warn("no test images, so there is no submission to write")
        return None
    path = ensure_submission(run, images, folds)
    show.out()
    show.out(f"submission: {path}")
    return path
