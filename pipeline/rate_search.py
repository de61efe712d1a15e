"""The learning-rate range test of a run: its steps, its table and its picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.files import atomic_path, write_text
from goldfold.pipeline.network_problems import refuse_misfits
from goldfold.pipeline.training_data import fold_data
from goldfold.pipeline.training_stage import choose_machine
from goldfold.training.stage_plan import StagePlan

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.stage_runs import StageRun
    from goldfold.training.loader import Batch
    from goldfold.training.rate_range import RateRange


def rate_stepper(run: OpenRun, stage_run: StageRun) -> Callable[[float], float]:
    """Return how a fresh training takes its next step at a learning rate; the loss comes back.

    Args:
        run: the run.
        stage_run: the stage of a fold's training.

    Raises:
        InputError: the network does not take the sizes of the images.
    """
    import torch

    from goldfold.training.assembly import (
        build_network,
        build_step,
        prepare_model,
        require_fitting_network,
    )
    from goldfold.training.batches import EpochBatches
    from goldfold.training.networks.freezing import set_training_mode

    refuse_misfits(run, [stage_run.job.model], trains=True)
    data = fold_data(run, stage_run, {})
    machine = choose_machine(run)
    settings, seed = stage_run.job.model, stage_run.job.seed
    torch.manual_seed(seed)
    network = build_network(settings, settings.encoder_weights, data.classes)
    classifies = data.per_image
    require_fitting_network(
        network, settings, stage_run.settings, data.classes, classifies=classifies
    )
    network = prepare_model(network, stage_run.settings, machine)
    step = build_step(
        network,
        stage_run.settings,
        machine,
        class_weights=data.class_weights,
        classes_per_pixel=data.images.classes_per_pixel,
        say=run.progress.say,
    )
    set_training_mode(network, stage_run.settings.frozen)
    plan = StagePlan(
        stage_run.settings,
        data.non_empty,
        seed=seed,
        weights=data.weights,
        pseudo_labelled=data.images.pseudo_labelled,
    )
    made = EpochBatches(data.images, stage_run.settings, seed, machine, run.progress.say)
    step.release = made.release

    def endless() -> Iterator[Batch]:
        epoch = 0
        while True:
            yield from made.of(epoch, plan.batches(epoch % plan.epochs))
            epoch += 1

    batches = endless()

    def take(rate: float) -> float:
        result = step.take(next(batches), rate / stage_run.settings.learning_rate)
        return result.loss_sum / max(result.images, 1)

    return take


def write_rate_range(table: Path, curve: RateRange, name: str) -> None:
    """Write the curve as a CSV file and, beside it, as a PNG.

    Args:
        table: of the CSV file.
        curve: of `rate_range`.
        name: of the training, for the title.
    """
    _write_table(table, curve)
    _draw(table.with_suffix(".png"), curve, name)


def _write_table(path: Path, curve: RateRange) -> None:

    rows = zip(curve.rates, curve.losses, curve.smoothed, strict=True)
    lines = ["learning_rate,loss,smoothed_loss", *(f"{r:.6g},{x:.6g},{s:.6g}" for r, x, s in rows)]
    write_text(path, "\n".join(lines) + "\n")


def _draw(path: Path, curve: RateRange, name: str) -> None:
    from matplotlib.figure import Figure

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
