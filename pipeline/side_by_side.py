"""Trainings and predictions of a run on several devices, one job each at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING

from goldfold.errors import GoldfoldError, InputError, list_problems, plural
from goldfold.pipeline.devices import CPU, device_label, environment_of, present_devices
from goldfold.pipeline.job_graph import Failure, JobGraph
from goldfold.pipeline.job_list import Wanted, build_caches, graph_of, waiting_stages
from goldfold.pipeline.job_worker import Opening
from goldfold.pipeline.local_executor import JobOptions, LocalExecutor, Slot
from goldfold.pipeline.network_problems import refuse_misfits
from goldfold.pipeline.prediction_stage import predict_jobs
from goldfold.pipeline.predictions import missing_jobs, ready_jobs
from goldfold.pipeline.training_stage import (
    choose_machine,
    prepare_trainings,
    train_jobs,
)
from goldfold.training.stopping import parse_duration
from goldfold.workers import workers_each

if TYPE_CHECKING:
    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.predictions import Split
    from goldfold.pipeline.stage_runs import StageRun
    from goldfold.training.runtime import Machine


def machine_of_one_device(run: OpenRun, stop_after: str | None = None) -> Machine | None:
    """Return where this process trains, None where several devices do, each in its own process.

    Then this process leaves the GPUs alone: it would take memory, and those that are used by one
    process exclusively.

    Raises:
        InputError: as `choose_machine`.
    """
    if len(present_devices(run.devices)) < 2:
        return choose_machine(run, stop_after)
    if stop_after is not None:
        parse_duration(stop_after)  # refused before anything is done
    return None


def train_all(run: OpenRun, wanted: Wanted, machine: Machine | None = None) -> None:
    """Train what is not finished, on the devices of the run.

    Args:
        run: the run.
        wanted: what; with several devices also what is predicted as soon as it can be.
        machine: where to train in this process; the run's first device unless given.

    Raises:
        InputError: images are missing, or a folder holds a training made from other input.
        GoldfoldError: several devices were at work, and jobs failed.
        Stopped: a signal came or the time is up; work in progress is saved.
    """
    if made_side_by_side(run, wanted):
        return
    train_jobs(
        run,
        wanted.trainings,
        stage=wanted.stage,
        overwrite=wanted.overwrite,
        extend_epochs=wanted.extend_epochs,
        machine=machine if machine is not None else choose_machine(run, wanted.stop_after),
    )


def predict_all(run: OpenRun, splits: Sequence[Split], share: tuple[int, int] = (0, 1)) -> None:
    """Predict what is missing with every fold's best checkpoints, on the devices of the run.

    Args:
        run: the run.
        splits: which maps.
        share: (k, n): only every n-th batch from the k-th; the other processes do the others.

    Raises:
        InputError: a fold has no finished training, or one made from other settings, there are no
            images to predict, or a network does not take them at their size.
        GoldfoldError: several devices were at work, and jobs failed.
    """
    ready = ready_jobs(run)
    _refuse_misfits(run, ready, splits)
    if not made_side_by_side(run, Wanted(ready, trains=False, splits=splits, share=share)):
        predict_jobs(run, ready, splits, share)


def _refuse_misfits(run: OpenRun, jobs: Sequence[FoldTraining], splits: Sequence[Split]) -> None:
    """Raise InputError where networks do not take what they would be shown, before any decoding."""
    missing = {job.model.name: job.model for job in missing_jobs(run, jobs, splits)}
    if missing:
        refuse_misfits(run, list(missing.values()), trains=False)


def made_side_by_side(run: OpenRun, wanted: Wanted) -> bool:
    """Do the jobs on all devices of the run; return whether there was anything to share out.

    With one device, or one job, nothing is done: it is faster in this process.

    Raises:
        InputError: a device is not there or cannot compute; or all failures were of that kind.
        GoldfoldError: jobs failed; the others are done.
        Stopped: a signal came or the time is up; work in progress is saved.
    """
    if not wanted.trains and not graph_of(run, wanted, []).left():
        return False  # without PyTorch, which takes seconds to load
    devices = present_devices(run.devices)
    if len(devices) < 2:
        return False
    began = monotonic()
    graph = graph_of(run, wanted, waiting_stages(run, wanted))
    if graph.most_at_once < 2:
        if graph.left():
            words = plural(len(devices) - 1, "device has", "devices have")
            first = device_label(devices[0], 0, devices)
            run.progress.say(f"devices: {first}; only one job is left, so {words} nothing to do")
        return False
    _refuse_other_logs(run)
    waiting: list[StageRun] = []
    if wanted.trains:
        waiting = prepare_trainings(
            run,
            wanted.trainings,
            stage=wanted.stage,
            overwrite=wanted.overwrite,
            extend=wanted.extend_epochs > 0,
        )
    build_caches(run, waiting, wanted)
    chosen = devices[: graph.most_at_once]
    labels = [device_label(name, slot, chosen) for slot, name in enumerate(chosen)]
    left_over = len(devices) - len(chosen)
    tail = f"; {plural(left_over, 'device has', 'devices have')} nothing to do" * (left_over > 0)
    run.progress.say(
        f"devices: {', '.join(labels)}; one job each at a time{tail}; each job's lines are in "
        f"{run.directory.logs}"
    )
    seconds = None if wanted.stop_after is None else parse_duration(wanted.stop_after)
    _perform(run, wanted, graph, _slots(run, chosen, labels), began, seconds)
    return True


def _refuse_other_logs(run: OpenRun) -> None:
    """Raise InputError if something else is where the jobs' logs belong."""
    logs = run.directory.logs
    if logs.exists() and not logs.is_dir():
        raise InputError(f"{logs} is a file where the folder of the logs belongs: move it away.")


def _perform(
    run: OpenRun,
    wanted: Wanted,
    graph: JobGraph,
    slots: Sequence[Slot],
    began: float,
    seconds: float | None,
) -> None:
    options = JobOptions(
        run.directory.logs,
        None if seconds is None else began + seconds,
        wanted.extend_epochs,
        wanted.share,
    )
    executor = LocalExecutor(slots, options, run.progress)
    verbs = ["train"] * wanted.trains + ["predict"] * bool(wanted.splits)
    executor.perform(graph, f"{' and '.join(verbs)} on {plural(len(slots), 'device', 'devices')}")
    _tell_of_failures(run, executor, graph)


def _tell_of_failures(run: OpenRun, executor: LocalExecutor, graph: JobGraph) -> None:
    """Raise an error that names all jobs that failed, and devices without which nothing is done."""
    if executor.refusals and graph.left():
        raise InputError(
            list_problems("devices cannot be used:", executor.refusals, "Choose others: --devices.")
        )
    for refusal in executor.refusals:
        run.progress.warn(f"{refusal} (left out)")
    if executor.failures:
        raise failures_as_error(executor.failures, graph)


def failures_as_error(failures: Sequence[Failure], graph: JobGraph) -> GoldfoldError:
    """Return one error for all jobs that failed: the user's mistake if all of them are."""
    title = f"{len(failures)} of {plural(len(graph), 'job', 'jobs')} failed"
    if graph.dropped:
        title += f", and {len(graph.dropped)} that depend on them were not started"
    lines = [f"{each.job}: {each.message}\n    log: {each.log}" for each in failures]
    others = "The others are done; the" if graph.done else "The"
    remedy = f"{others} same command tries these again."
    text = list_problems(f"{title}:", lines, remedy)
    mistakes = all(failure.exit_code == InputError.exit_code for failure in failures)
    return InputError(text) if mistakes else GoldfoldError(text)


def _slots(run: OpenRun, devices: Sequence[str], labels: Sequence[str]) -> list[Slot]:
    """Return the devices with what their workers need to know."""
    from goldfold.training.accelerators import usable_accelerator

    kind = usable_accelerator() if any(name != CPU for name in devices) else None
    workers = workers_each(run.settings.workers, len(devices))
    root = str(run.directory.root)
    return [
        # Of the GPUs its process sees one, which is then the first.
        Slot(
            label,
            Opening(root, run.assignments, CPU if name == CPU else "0", workers),
            environment_of(name, len(devices), kind, os.environ),
            required=bool(run.devices),
        )
        for name, label in zip(devices, labels, strict=True)
    ]
