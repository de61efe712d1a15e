"""`goldfold run`: all stages in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.commands.options import Assignments, DryRun, Overwrite, RunFolder, StopAfter

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun


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
    from goldfold.commands.opening import open_run
    from goldfold.commands.submit import tell_what_next
    from goldfold.pipeline.plan import plan_run

    whole = open_run(run_folder, assignments)
    if dry_run:
        for line in plan_run(whole, overwrite):
            show.out(line)
        return
    if path := run_all(whole, overwrite=overwrite, stop_after=stop_after):
        tell_what_next(whole, path)


def run_all(run: OpenRun, overwrite: bool = False, stop_after: str | None = None) -> Path | None:
    """Run every stage: images, folds, train, predict, ensemble, submission.

    Returns the submission, or None where there are no test images.
    """
    from goldfold.commands import show
    from goldfold.commands.folds import print_summary
    from goldfold.commands.training_print import print_results
    from goldfold.errors import InputError
    from goldfold.pipeline.ensemble_stage import ensure_ensemble
    from goldfold.pipeline.folds_stage import ensure_folds
    from goldfold.pipeline.jobs import choose_jobs
    from goldfold.pipeline.prediction_stage import predict_all
    from goldfold.pipeline.predictions import splits_of
    from goldfold.pipeline.submission_stage import ensure_submission
    from goldfold.pipeline.training_stage import (
        choose_machine,
        train_jobs,
    )

    machine = choose_machine(run, stop_after)
    if machine.ranks.world > 1:
        raise InputError(
            "`goldfold run` is one process; under torchrun use `goldfold train run RUN`, then "
            "`goldfold run RUN` without it for the rest."
        )
    folds = ensure_folds(run, retrain=overwrite)
    print_summary(folds)
    jobs = choose_jobs(run)
    train_jobs(run, jobs, overwrite=overwrite, machine=machine)
    show.out()
    print_results(run, jobs)
    splits = splits_of(run)
    predict_all(run, splits)
    show.out()
    show.lines(run.task.ensemble_lines(ensure_ensemble(run)))
    if "test" not in splits:
        run.progress.warn("no test images, so there is no submission to write")
        return None
    path = ensure_submission(run)
    show.out()
    show.out(f"submission: {path}")
    return path
