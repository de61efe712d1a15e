"""`goldfold train plan`: what a training will show and how long it will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldfold.commands.options import Assignments, RunFolder

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.stage_runs import StageRun
    from goldfold.tasks.task import Task
    from goldfold.training.machine import Machine
    from goldfold.training.stage_plan import StagePlan

MEASURED_STEPS = 3


@dataclass(frozen=True)
class PlannedEpoch:
    """One epoch of a plan; counts of images, highest learning rate in it, seconds or None."""

    stage: int
    epoch: int
    fraction: float
    non_empty: int
    empty: int
    pseudo: int
    steps: int
    rate: float
    seconds: float | None

    @property
    def images(self) -> int:
        """Images shown."""
        return self.non_empty + self.empty + self.pseudo


def plan_command(
    run_folder: RunFolder,
    model: Annotated[str | None, typer.Option(help="This model; all unless given.")] = None,
    fold: Annotated[int | None, typer.Option(help="This fold; the first unless given.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="PNG file; train-plan-MODEL.png in the run directory unless given."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Measure some steps for the time.")
    ] = True,
    assignments: Assignments = None,
) -> None:
    """Print each epoch's images, steps and learning rate, and the time expected; draw the plan.

    The time comes from a few real steps on random images, validation from the same network
    without its backward pass; making batches is not in it, as it happens beside.

    Example:
    goldfold train plan runs/first --no-measure

    Next: goldfold train run runs/first
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.fold_trainings import choose_trainings
    from goldfold.pipeline.stage_runs import stage_runs
    from goldfold.pipeline.training_stage import choose_machine

    run = open_run(run_folder, assignments)
    machine = choose_machine(run) if measure else None
    if machine is not None:
        run.progress.say(f"device: {machine.device.description}")
    jobs = choose_trainings(run, fold, model)
    names = [one.name for one in run.settings.models if model in (None, one.name)]
    for name in names:
        job = next(one for one in jobs if one.model.name == name)
        rows = [row for one in stage_runs(run, [job]) for row in _planned(run, one, machine)]
        show.out(f"{name}, fold {job.fold}:")
        _print(rows)
        path = plot or run.directory.root / f"train-plan-{name}.png"
        _draw(path, rows, name)
        show.out(f"plot: {path}")
        if measure:
            trainings = sum(one.model.name == name for one in jobs)
            _print_time(rows, trainings)
    show.out(f"next: {run.command('train run')}")


def _planned(
    run: OpenRun,
    one: StageRun,
    machine: Machine | None,
) -> list[PlannedEpoch]:
    """Return a row for every epoch of a stage."""
    plan, held_out = _stage_plan(run, one)
    speed = _measured(one, machine, run.task) if machine is not None else None
    rows = []
    for epoch in range(plan.epochs):
        rates = [plan.rate(epoch, step) for step in range(plan.steps(epoch))]
        seconds = None
        if speed is not None:
            training, validating = speed
            seconds = training * sum(plan.counts(epoch))
            seconds += validating * held_out * _validations(one, epoch)
        rows.append(
            PlannedEpoch(
                one.number,
                epoch + 1,
                plan.fraction(epoch),
                *plan.counts(epoch),
                plan.steps(epoch),
                max(rates) * one.settings.learning_rate,
                seconds,
            )
        )
    return rows


def _stage_plan(run: OpenRun, one: StageRun) -> tuple[StagePlan, int]:
    """Return the plan of a stage, and how many images it is validated on; no cache is needed."""
    from goldfold.competitions.images_table import training_images
    from goldfold.pipeline.pseudo_labels import count_pseudo_labels
    from goldfold.pipeline.training_data import sampling_weights_of
    from goldfold.training.stage_plan import StagePlan

    train = training_images(run.images).set_index("image_id")
    fold = run.fold(one.job.fold)
    inside = fold.training
    pseudo = one.settings.pseudo_labels
    plan = StagePlan(
        one.settings,
        run.task.non_empty(train.loc[inside]),
        seed=one.job.seed,
        weights=sampling_weights_of(train.loc[inside], one.settings.sampling),
        pseudo_labelled=count_pseudo_labels(run, pseudo.name, one.job.fold) if pseudo else 0,
    )
    return plan, len(fold.held_out)


def _validations(one: StageRun, epoch: int) -> int:
    """Return how many networks are validated after an epoch."""
    stage, finished = one.settings, epoch + 1
    last = finished == stage.epochs
    if not last and (finished < stage.validate_from or finished % stage.validate_every):
        return 0
    return 1 + (stage.ema is not None) + (last and stage.swa_from is not None)


def _measured(one: StageRun, machine: Machine, task: Task) -> tuple[float, float]:
    """Return the seconds an image takes in training and in validation.

    Args:
        one: the stage.
        machine: where it would be trained.
        task: says what its network gives.
    """
    from math import prod
    from statistics import median
    from time import perf_counter

    import numpy as np
    import torch

    from goldfold.extent import extent_of
    from goldfold.training.assembly import build_network, build_step, prepare_model
    from goldfold.training.batch import network_input
    from goldfold.training.loader import Batch
    from goldfold.training.networks.freezing import set_training_mode

    model, stage = one.job.model, one.settings
    network = build_network(model, classes=task.form.outputs)
    network = prepare_model(network, stage, machine)
    step = build_step(network, stage, machine, classes_per_pixel=task.classes_per_pixel)
    extent, count = extent_of(stage.crop_size or stage.image_size), stage.batch_size
    count *= stage.accumulation
    shape = (count, *extent) if model.channels == 1 else (count, *extent, 3)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, shape).astype(np.uint8)
    masks = random.integers(0, 2, task.target_shape(count, extent)).astype(np.uint8) * np.uint8(255)
    batch = Batch(pixels, masks, np.arange(count), classes=task.classes_per_pixel)
    set_training_mode(network, stage.frozen)
    times = []
    for _ in range(MEASURED_STEPS + 1):
        began = perf_counter()
        step.take(batch, 0.0)
        times.append(perf_counter() - began)
    network.eval()
    device = machine.device
    began = perf_counter()
    with torch.inference_mode(), device.autocast():
        inputs = network_input(pixels, device.device, channels_last=device.channels_last)
        output = network(inputs)
        float((output if isinstance(output, torch.Tensor) else output[0]).sum())
    validating = (perf_counter() - began) * prod(extent_of(stage.image_size)) / prod(extent)
    return median(times[1:]) / count, validating / count


def _print(rows: Sequence[PlannedEpoch]) -> None:
    """Print the rows, those that differ in their learning rate alone as one."""
    from goldfold.commands import show

    groups: list[list[PlannedEpoch]] = []
    for row in rows:
        if groups and _alike(groups[-1][-1], row):
            groups[-1].append(row)
        else:
            groups.append([row])
    headers = ["stage", "epochs", "non-empty", "images", "with mask", "empty", "pseudo"]
    headers += ["steps", "learning rate", "minutes"]
    table = []
    for group in groups:
        first, last = group[0], group[-1]
        epochs = str(first.epoch) if first is last else f"{first.epoch}-{last.epoch}"
        rate = f"{first.rate:.2g}" if first is last else f"{first.rate:.2g} to {last.rate:.2g}"
        known = [row.seconds for row in group if row.seconds is not None]
        minutes = f"{sum(known) / 60:.1f}" if known else "-"
        counts = [first.images, first.non_empty, first.empty, first.pseudo, first.steps]
        table.append([first.stage, epochs, f"{first.fraction:.3f}", *counts, rate, minutes])
    show.out(show.table(headers, table))


def _alike(one: PlannedEpoch, other: PlannedEpoch) -> bool:
    same = (one.stage, one.non_empty, one.empty, one.pseudo, one.steps)
    return same == (other.stage, other.non_empty, other.empty, other.pseudo, other.steps)


def _print_time(rows: Sequence[PlannedEpoch], trainings: int) -> None:
    from goldfold.commands import show
    from goldfold.errors import plural

    hours = sum(row.seconds or 0.0 for row in rows) / 3600
    all_of_them = plural(trainings, "training", "trainings")
    show.out(f"expected: {hours:.2f} h for one, {hours * trainings:.2f} h for {all_of_them}")


def _draw(path: Path, rows: Sequence[PlannedEpoch], name: str) -> None:
    """Draw fraction, images and learning rate over all epochs of all stages."""
    from matplotlib.figure import Figure

    from goldfold.files import atomic_path

    places = range(1, len(rows) + 1)
    figure = Figure(figsize=(9, 7), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True)
    top.plot(places, [row.fraction for row in rows], marker=".", color="tab:red")
    top.set_ylim(0, 1.05)
    top.set_ylabel("non-empty fraction")
    floor = [0] * len(rows)
    for label, color in (("non_empty", "tab:red"), ("empty", "0.7"), ("pseudo", "tab:blue")):
        heights = [getattr(row, label) for row in rows]
        if any(heights):
            words = {"non_empty": "non-empty", "pseudo": "pseudo-labelled"}.get(label, label)
            middle.bar(places, heights, bottom=floor, color=color, label=words, width=0.9)
            floor = [a + b for a, b in zip(floor, heights, strict=True)]
    middle.set_ylabel("images an epoch")
    middle.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    bottom.plot(places, [row.rate for row in rows], marker=".", color="tab:green")
    bottom.set_yscale("log")
    bottom.set_ylabel("learning rate (highest)")
    bottom.set_xlabel("epoch")
    for before, row in pairwise(rows):
        if row.stage != before.stage:
            edge = rows.index(row) + 0.5
            for axes in (top, middle, bottom):
                axes.axvline(edge, color="0.4", linestyle=":", linewidth=1)
    figure.suptitle(f"Training plan: {name}")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
