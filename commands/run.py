"""`goldfold run`: all stages in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.commands.options import Assignments, DryRun, Overwrite, RunFolder

if TYPE_CHECKING:
    from goldfold.commands.context import Run


def run(
    run_folder: RunFolder,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    assignments: Assignments = None,
) -> None:
    """Go through all stages; skip what is up to date, go on where it stopped.

    --overwrite trains all folds again. Without test images the run ends with the honest score.

    Example:
    goldfold run runs/first

    Next: goldfold submit check runs/first/submission.csv --sample sample_submission.csv
    """
    from goldfold.commands.context import open_run

    whole = open_run(run_folder, assignments)
    if dry_run:
        _plan(whole)
    else:
        run_all(whole, overwrite=overwrite)


def run_all(run: Run, overwrite: bool = False) -> None:
    """Run every stage: images, folds, train, predict, ensemble, submission."""
    from goldfold.commands import show
    from goldfold.commands.context import ensure_images
    from goldfold.commands.ensemble import ensure_ensemble, print_ensemble
    from goldfold.commands.folds import ensure_folds, print_summary
    from goldfold.commands.prediction_stage import predict_all
    from goldfold.commands.submit import ensure_submission
    from goldfold.commands.train import choose_jobs, print_results, train_jobs
    from goldfold.competitions.images_table import test_images

    images = ensure_images(run)
    folds = ensure_folds(run, images)
    print_summary(folds)
    jobs = choose_jobs(run)
    train_jobs(run, jobs, images, folds, overwrite=overwrite)
    show.out()
    print_results(run, jobs)
    splits = ["out-of-fold", "test"] if len(test_images(images)) else ["out-of-fold"]
    predict_all(run, images, folds, splits)
    show.out()
    print_ensemble(ensure_ensemble(run, images, folds))
    if "test" not in splits:
        run.progress.warn("no test images, so there is no submission to write")
        return
    path = ensure_submission(run, images)
    show.out()
    show.out(f"submission: {path}")


def _plan(run: Run) -> None:
    from goldfold.commands import show
    from goldfold.commands.train import choose_jobs, state_of

    directory = run.directory
    for name, path in (("images", directory.images), ("folds", directory.folds)):
        show.out(
            f"{name}: {'there; made anew if its input changed' if path.is_file() else 'to do'}"
        )
    for job in choose_jobs(run):
        show.out(f"train {job.folder(run)}: {state_of(run, job)}")
    for name, path in (
        ("predict", directory.root / "predictions"),
        ("ensemble", directory.ensemble),
        ("submission", directory.submission(run.settings.submission.file)),
    ):
        show.out(f"{name}: {'there; made anew if its input changed' if path.exists() else 'to do'}")
