"""What --dry-run prints: found out as the stages themselves do it, but nothing is written.

What a stage would refuse is refused here in the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from goldfold.errors import plural
from goldfold.pipeline.changed_images import refuse_others
from goldfold.pipeline.ensemble_stage import ensemble_made_from
from goldfold.pipeline.fold_trainings import choose_trainings
from goldfold.pipeline.folds_stage import plan_folds
from goldfold.pipeline.images_stage import peek_images
from goldfold.pipeline.open_questions import refuse_open_questions
from goldfold.pipeline.predictions import (
    discarded_because,
    images_fingerprints,
    is_predicted,
    splits_of,
    store_facts,
    store_of,
)
from goldfold.pipeline.stage_runs import stage_runs
from goldfold.pipeline.submission_stage import refuse_foreign_submission, submission_made_from
from goldfold.rundirectory import recorded

if TYPE_CHECKING:
    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.predictions import Split
    from goldfold.pipeline.stage_runs import StageRun

UP_TO_DATE = "up to date"


def plan_run(run: OpenRun, overwrite: bool = False) -> list[str]:
    """Return one line for each thing that `goldfold run` would do or pass over.

    Raises:
        InputError: the data has problems, or a stage would refuse what is there.
    """
    refuse_open_questions(run)
    directory = run.directory
    images, images_stand = peek_images(run)
    run.take_tables(images)
    folds, folds_stand = plan_folds(run, retrain=overwrite)
    run.take_tables(images, folds)
    jobs = choose_trainings(run)
    lines = [
        f"images: {_state(images_stand, directory.images.is_file(), 'read')}",
        f"folds: {_state(folds_stand, directory.folds.is_file(), 'split')}",
        *(f"train {line}" for line in plan_training(run, jobs, overwrite)),
    ]
    splits = splits_of(run)
    predictions = plan_predictions(run, jobs, splits, retrained=overwrite)
    lines += [f"predict {line}" for line in predictions]
    ready = all(line.endswith(UP_TO_DATE) for line in predictions) and folds_stand
    ensemble_stands = ready and _ensemble_stands(run)
    lines.append(f"ensemble: {_state(ensemble_stands, directory.ensemble.is_file(), 'made')}")
    if "test" not in splits:
        return [*lines, "submission: none, because there are no test images"]
    return [*lines, f"submission: {_submission(run, ensemble_stands)}"]


def plan_training(
    run: OpenRun,
    jobs: Sequence[FoldTraining],
    overwrite: bool,
    stage: int | None = None,
) -> list[str]:
    """Return one line for each stage of a fold training: its folder, and what would happen to it.

    Args:
        run: the run.
        jobs: the fold trainings.
        overwrite: all are trained again.
        stage: only this one, from 1; all unless given.

    Raises:
        InputError: a folder holds a training made from other input, and `overwrite` is not set.
    """
    stages = stage_runs(run, jobs, stage)
    if not overwrite:
        refuse_others(run, stages)
    return [f"{stage.fold_run.folder}: {_training_state(stage, overwrite)}" for stage in stages]


def _training_state(stage_run: StageRun, overwrite: bool) -> str:
    """Return what would happen to a stage.

    Raises:
        InputError: its folder holds a training made from other input.
    """
    from goldfold.training.state import read_progressed

    fold_run, total = stage_run.fold_run, stage_run.settings.epochs
    epochs = plural(total, "epoch", "epochs")
    if overwrite:
        there = fold_run.result_path.is_file() or fold_run.started()
        again = f"would be deleted and trained again, {epochs}"
        return again if there else f"would train {epochs}"
    if fold_run.finished():
        return "finished"
    if not fold_run.started():
        return f"would train {epochs}"
    progressed = read_progressed(fold_run.state_folder)
    return f"would resume after epoch {progressed.epoch} of {progressed.goal or total}"


def plan_predictions(
    run: OpenRun,
    jobs: Sequence[FoldTraining],
    splits: Sequence[Split],
    retrained: bool = False,
) -> list[str]:
    """Return one line for each store of maps, and what would happen to it.

    Args:
        run: the run.
        jobs: the fold trainings that predict, finished or to be finished first.
        splits: which maps.
        retrained: all jobs are trained again before.
    """
    lines = []
    for split in splits:
        prints = images_fingerprints(run, [job.fold for job in jobs], split)
        for job in jobs:
            path = store_of(run, job, split)
            finished = (job.folder(run) / "result.json").is_file()
            facts = store_facts(run, job, prints[job.fold], split) if finished else {}
            if retrained and path.is_file():
                state = "would be predicted anew if its checkpoints change"
            elif finished and is_predicted(path, facts):
                state = UP_TO_DATE
            elif finished and (reason := discarded_because(path, facts)):
                state = f"would be predicted anew, because {reason}"
            elif finished and path.is_file():
                state = "would resume"
            else:
                state = "would be predicted"
            lines.append(f"{path.with_suffix('')}: {state}")
    return lines


def _state(stands: bool, there: bool, verb: str) -> str:
    if stands:
        return UP_TO_DATE
    return f"would be {verb} anew" if there else f"would be {verb}"


def _ensemble_stands(run: OpenRun) -> bool:

    made_from = ensemble_made_from(run)
    current = run.directory.stage("ensemble").is_current(made_from)
    return current and isinstance(recorded(run.directory.ensemble), dict)


def _submission(run: OpenRun, ensemble_stands: bool) -> str:

    path = run.directory.submission(run.settings.submission.file)
    refuse_foreign_submission(run, path)
    stands = (
        ensemble_stands
        and path.is_file()
        and run.directory.stage("submission").is_current(submission_made_from(run))
    )
    return _state(stands, path.is_file(), "written")
