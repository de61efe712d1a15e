"""Trainings whose images changed since: `goldfold run` makes them again, without being asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.commands.context import Run
    from goldfold.commands.training_stage import Job


def remove_stale_trainings(
    run: Run, jobs: Sequence[Job], images: pd.DataFrame, folds: pd.DataFrame
) -> None:
    """Remove the trainings whose images changed, so that they are made again, and say so.

    Raises:
        InputError: a folder holds a training made from other settings or labels, or pseudo-labels
            are out of date; nothing is removed then.
        OutputError: one cannot be removed.
    """
    from goldfold.commands.changed_images import stale_because
    from goldfold.commands.pseudo_label import require_pseudo_labels
    from goldfold.commands.training_stage import remove_training, stage_runs

    stale = []
    for one in stage_runs(run, jobs, images, folds):
        reason = stale_because(run, one, images)
        if reason:
            if (wanted := one.settings.pseudo_labels) is not None:
                require_pseudo_labels(run, images, wanted.name, one.job.fold)
            stale.append((one, reason))
        else:
            one.fold_run.refuse_other()
    for one, reason in stale:
        run.progress.say(f"train {one.name}: training again, because {reason}")
        remove_training(one.fold_run.folder)


def stale_jobs(
    run: Run, jobs: Sequence[Job], images: pd.DataFrame, folds: pd.DataFrame
) -> list[Job]:
    """Return the jobs of which `remove_stale_trainings` would remove a stage."""
    from goldfold.commands.changed_images import stale_because
    from goldfold.commands.training_stage import stage_runs

    stages = stage_runs(run, jobs, images, folds)
    return [one.job for one in stages if stale_because(run, one, images)]
