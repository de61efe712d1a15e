"""`goldfold train lr-range`: the learning-rate range test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldfold.commands.options import Assignments, RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.stage_runs import StageRun
    from goldfold.training.rate_range import RateRange


def range_command(
    run_folder: RunFolder,
    model: Annotated[str | None, typer.Option(help="This model; the first unless given.")] = None,
    fold: Annotated[int | None, typer.Option(help="This fold; the first unless given.")] = None,
    stage: Annotated[int, typer.Option(help="Settings of this stage, from 1.")] = 1,
    steps: Annotated[int, typer.Option(help="Steps of the optimizer, at most.")] = 100,
    lowest: Annotated[float, typer.Option(help="First learning rate.")] = 1e-6,
    highest: Annotated[float, typer.Option(help="Last learning rate.")] = 1.0,
    assignments: Assignments = None,
) -> None:
    """Train a fresh network at rising learning rates; write the curve, suggest a rate.

    Writes lr-range-MODEL.csv and .png into the run directory. Nothing that is trained changes.

    Example:
    goldfold train lr-range runs/first --steps 100

    Next: goldfold train run runs/first --set models.0.stages.0.learning_rate=RATE
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.training.rate_range import RULE, rate_range

    run = open_run(run_folder, assignments)
    one, take_step = _stepper(run, model, fold, stage)
    with run.progress.task(f"lr-range {one.name}", steps) as task:

        def shown(rate: float) -> float:
            loss = take_step(rate)
            task.advance(1, lr=rate, loss=loss)
            return loss

        curve = rate_range(shown, lowest=lowest, highest=highest, steps=steps)
    table = run.directory.root / f"lr-range-{one.job.model.name}.csv"
    _write_table(table, curve)
    _draw(table.with_suffix(".png"), curve, one.name)
    show.out(f"curve: {table} and {table.with_suffix('.png').name}")
    show.out(f"suggestion: learning_rate = {curve.suggestion:.2g} ({RULE})")
    place = f"models.{run.settings.models.index(one.job.model)}.stages.{stage - 1}"
    changed = f"--set {place}.learning_rate={curve.suggestion:.2g}"
    show.out(f"next: {run.command('train run')} {changed}")


def _stepper(
    run: OpenRun, model: str | None, fold: int | None, stage: int
) -> tuple[StageRun, Callable[[float], float]]:
    """Return a fresh training and how to take its next step at a learning rate."""
    import torch

    from goldfold.pipeline.fold_trainings import choose_trainings
    from goldfold.pipeline.stage_runs import stage_runs
    from goldfold.pipeline.training_data import fold_data
    from goldfold.pipeline.training_stage import choose_machine
    from goldfold.settings_augmentation import recipe_of
    from goldfold.training.assembly import (
        build_network,
        build_step,
        prepare_model,
        require_fitting_network,
    )
    from goldfold.training.loader import Look, iterate_batches
    from goldfold.training.networks.freezing import set_training_mode
    from goldfold.training.stage_plan import StagePlan

    one = stage_runs(run, choose_trainings(run, fold, model)[:1], stage)[0]
    data = fold_data(run, one, {})
    machine = choose_machine(run)
    settings, seed = one.job.model, one.job.seed
    torch.manual_seed(seed)
    network = build_network(settings, settings.encoder_weights, data.classes)
    classifies = data.labels is not None
    require_fitting_network(network, settings, one.settings, data.classes, classifies=classifies)
    network = prepare_model(network, one.settings, machine)
    step = build_step(
        network,
        one.settings,
        machine,
        class_weights=data.class_weights,
        classes_per_pixel=data.images.classes_per_pixel,
        say=run.progress.say,
    )
    set_training_mode(network, one.settings.frozen)
    training_images = data.images
    plan = StagePlan(
        one.settings,
        data.non_empty,
        seed=seed,
        weights=data.weights,
        pseudo_labelled=training_images.pseudo_labelled,
    )
    recipe = recipe_of(one.settings.augmentation)

    def endless():  # type: ignore[no-untyped-def]
        epoch = 0
        while True:
            look = Look(recipe, seed, epoch, one.settings.crop_size)
            batches = plan.batches(epoch % plan.epochs)
            yield from iterate_batches(training_images, batches, look, workers=run.workers)
            epoch += 1

    batches = endless()  # type: ignore[no-untyped-call]

    def take(rate: float) -> float:
        result = step.take(next(batches), rate / one.settings.learning_rate)
        return result.loss_sum / max(result.images, 1)

    return one, take


def _write_table(path: Path, curve: RateRange) -> None:
    from goldfold.files import write_text

    rows = zip(curve.rates, curve.losses, curve.smoothed, strict=True)
    lines = ["learning_rate,loss,smoothed_loss", *(f"{r:.6g},{x:.6g},{s:.6g}" for r, x, s in rows)]
    write_text(path, "\n".join(lines) + "\n")


def _draw(path: Path, curve: RateRange, name: str) -> None:
    from matplotlib.figure import Figure

    from goldfold.files import atomic_path

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(curve.rates, curve.losses, color="0.75", linewidth=1, label="loss of a step")
    axes.plot(curve.rates, curve.smoothed, color="tab:blue", linewidth=2, label="smoothed")
    axes.axvline(
        curve.suggestion,
        color="tab:red",
        linestyle="--",
        label=f"suggestion {curve.suggestion:.2g}",
    )
    axes.set_xscale("log")
    low, high = min(curve.smoothed), max(curve.smoothed[: len(curve.smoothed) // 2 + 1])
    axes.set_ylim(low - 0.1 * (high - low), high + 0.3 * (high - low))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    axes.set_title(f"Learning-rate range test: {name}")
    axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
