"""The trainings of a run: every model, seed, fold and stage, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.competitions.images_table import training_images
from goldfold.errors import OutputError
from goldfold.files import fingerprint
from goldfold.locks import locked_folder
from goldfold.pipeline.changed_images import keep_contents, refuse_others
from goldfold.pipeline.engine_choice import predicting_device
from goldfold.pipeline.fold_trainings import stage_numbers
from goldfold.pipeline.network_problems import refuse_misfits
from goldfold.pipeline.stage_runs import data_facts, fold_run_of, stage_runs
from goldfold.pipeline.training_data import fold_data
from goldfold.progress import SILENT
from goldfold.tasks.own_metric_trial import try_own_metric
from goldfold.training.stopping import StopRequest, parse_duration
from goldfold.workers import processes_here, workers_each

if TYPE_CHECKING:
    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.stage_runs import StageRun
    from goldfold.pipeline.training_data import CacheKey
    from goldfold.training.cache import ImageCache
    from goldfold.training.ranks import Ranks
    from goldfold.training.runtime import Machine


def train_jobs(
    run: OpenRun,
    jobs: Sequence[FoldTraining],
    *,
    stage: int | None = None,
    overwrite: bool = False,
    extend_epochs: int = 0,
    machine: Machine | None = None,
) -> None:
    """Train the jobs in order, stage by stage, skipping what is finished.

    Args:
        run: the run.
        jobs: what to train.
        stage: only this one, from 1; all unless given.
        overwrite: delete the stages that are asked for, and train them again.
        extend_epochs: train so many more epochs in the stages that are asked for.
        machine: where; this one unless given.

    Raises:
        InputError: images are missing, or a folder holds a training made from other input.
    """
    from goldfold.training.fold_run import train_fold

    machine = machine if machine is not None else choose_machine(run)
    run, writes = quiet_unless_writer(run, machine), machine.ranks.is_writer
    with writer_first(machine.ranks):
        waiting = prepare_trainings(
            run, jobs, stage=stage, overwrite=overwrite, extend=extend_epochs > 0, writes=writes
        )
        if waiting:
            _say_device(run, waiting, machine)
    caches: dict[CacheKey, ImageCache] = {}
    facts = data_facts(run)
    for stage_run in waiting:
        # Only now is the stage before finished, and what this one is made from known.
        fold_run = fold_run_of(run, stage_run.job, stage_run.number, facts)
        with writer_first(machine.ranks):
            data = fold_data(run, stage_run, caches)
        train_fold(
            fold_run,
            stage_run.job.model,
            stage_run.settings,
            data,
            machine=machine,
            extend_epochs=extend_epochs,
            progress=run.progress,
        )


def prepare_trainings(
    run: OpenRun,
    jobs: Sequence[FoldTraining],
    *,
    stage: int | None = None,
    overwrite: bool = False,
    extend: bool = False,
    writes: bool = True,
) -> list[StageRun]:
    """Return the stages that are to be trained, once it is known that nothing stands against it.

    Args:
        run: the run.
        jobs: what to train.
        stage: only this one, from 1; all unless given.
        overwrite: delete the stages that are asked for.
        extend: finished ones are trained further.
        writes: whether this process writes files.

    Raises:
        InputError: a folder holds a training made from other input, or a network cannot be built
            or does not take the sizes of the images.
    """
    from goldfold.training.own_objects import load_own_objects

    if overwrite and writes:
        _refuse_misfits(run, jobs)  # before anything is deleted
        for job, number in stage_numbers(jobs, stage):
            _remove_training(job.stage_folder(run, number))
    waiting = stages_to_train(run, jobs, stage, extend)
    if waiting:
        _say_idle_schedules(run, waiting)
        if writes:
            keep_contents(run)
    _refuse_misfits(run, [stage_run.job for stage_run in waiting])
    _try_networks(waiting, outputs(run))
    load_own_objects([stage.settings for stage in waiting])
    try_own_metric(run.settings.competition)
    return waiting


def _say_device(run: OpenRun, waiting: Sequence[StageRun], machine: Machine) -> None:
    """Say where the stages are trained, and what that leaves to be desired."""
    from goldfold.training.determinism import without_deterministic_kernels

    run.progress.say(f"device: {machine.device.description}{machine.ranks.in_words}")
    if machine.device.note:
        run.progress.warn(machine.device.note)
    if not machine.settings.deterministic or not machine.device.is_gpu:
        return
    models = [stage.job.model for stage in waiting]
    names = without_deterministic_kernels(models)
    if names:
        run.progress.warn(
            f"training.deterministic: {' and '.join(names)} has no deterministic algorithm on a "
            "GPU, so the last bits may still differ from run to run"
        )


def _say_idle_schedules(run: OpenRun, waiting: Sequence[StageRun]) -> None:
    """Say so where a sampling schedule has nothing to do."""
    scheduled = {stage.settings.sampling.schedule for stage in waiting} - {"natural"}
    reason = run.task.nothing_is_empty(training_images(run.images))
    if scheduled and reason:
        run.progress.say(
            f"{reason}, so sampling schedule {', '.join(sorted(scheduled))} is "
            "off: every epoch shows all images"
        )


def choose_machine(run: OpenRun, stop_after: str | float | None = None) -> Machine:
    """Return the device and the processes that train, and when they stop.

    Processes that torchrun started share the loader's threads.

    Args:
        run: the run, with the devices that it may use; the first of them is taken.
        stop_after: a duration, such as 8h30m, or seconds.

    Raises:
        InputError: the precision of the settings is not to be had, or `stop_after` is no duration.
    """
    from goldfold.training.runtime import Machine

    seconds = parse_duration(stop_after) if isinstance(stop_after, str) else stop_after
    workers = workers_each(run.settings.workers, processes_here())
    device = predicting_device(run) if run.devices else None
    return Machine.choose(run.settings.training, workers, StopRequest.after(seconds), device)


def quiet_unless_writer(run: OpenRun, machine: Machine) -> OpenRun:
    """Return the run, silent in all processes but the one that writes."""
    return run if machine.ranks.is_writer else run.with_progress(SILENT)


@contextmanager
def writer_first(ranks: Ranks) -> Iterator[None]:
    """Let the others find what the writing process has made."""
    if not ranks.is_writer:
        ranks.barrier()
    yield
    if ranks.is_writer:
        ranks.barrier()


def stages_to_train(
    run: OpenRun,
    jobs: Sequence[FoldTraining],
    stage: int | None,
    extend: bool,
) -> list[StageRun]:
    """Return the stages that are to be trained, and say which are not."""
    waiting = []
    stages = stage_runs(run, jobs, stage)
    refuse_others(run, stages)
    for stage_run in stages:
        if stage_run.fold_run.finished() and not extend:
            run.progress.say(f"train {stage_run.name}: up to date")
        else:
            waiting.append(stage_run)
    return waiting


def outputs(run: OpenRun) -> int:
    """Return the outputs of a run's networks: one mask, or one for each class, or its number."""
    return run.settings.competition.outputs


def _refuse_misfits(run: OpenRun, jobs: Sequence[FoldTraining]) -> None:
    """Raise InputError where networks cannot be trained, or could not predict afterwards."""
    models = {job.model.name: job.model for job in jobs}
    refuse_misfits(run, list(models.values()), trains=True)


def _try_networks(waiting: Sequence[StageRun], classes: int) -> None:
    """Build every network once, so that a wrong one fails before the images are decoded.

    Raises:
        InputError: a network cannot be built, or its weights cannot be had.
    """
    from goldfold.training.assembly import build_network

    wanted = {}
    for stage_run in waiting:
        model = stage_run.job.model
        # As in train_fold: a training that resumes needs no download.
        own = stage_run.fold_run.started() or stage_run.number > 1
        weights = "none" if own else model.encoder_weights
        words = [model.architecture, model.encoder, weights, model.inputs, model.options]
        wanted[fingerprint([*words, model.presence_head])] = (model, weights)
    for model, weights in wanted.values():
        build_network(model, weights, classes)


def _remove_training(folder: Path) -> None:
    """Remove a stage's training, result and state first: what a kill leaves counts for nothing.

    Raises:
        OutputError: it cannot be removed, or another process is training there.
    """
    import shutil

    if not folder.exists():
        return
    try:
        with locked_folder(folder):
            (folder / "result.json").unlink(missing_ok=True)
            (folder / "state" / "state.json").unlink(missing_ok=True)
            shutil.rmtree(folder)
    except OSError as error:
        raise OutputError(f"cannot remove {folder}: {error.strerror or error}.") from error
