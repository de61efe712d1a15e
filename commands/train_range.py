"""`goldfold train lr-range`: the learning-rate range test."""

from __future__ import annotations

from typing import Annotated

import typer

from goldfold.commands.options import Assignments, RunFolder


def range_command(
    run_folder: RunFolder,
    model: Annotated[
        str | None, typer.Option(help="Only this model; the first by default.")
    ] = None,
    fold: Annotated[int | None, typer.Option(help="Only this fold; the first by default.")] = None,
    stage: Annotated[int, typer.Option(help="Stage whose settings are used, from 1.")] = 1,
    steps: Annotated[int, typer.Option(help="Most steps of the optimizer.")] = 100,
    lowest: Annotated[float, typer.Option(help="First learning rate.")] = 1e-6,
    highest: Annotated[float, typer.Option(help="Last learning rate.")] = 1.0,
    assignments: Assignments = None,
) -> None:
    """Train a fresh network at rising learning rates; write the curve, suggest a rate.

    Writes lr-range-MODEL.csv and .png into the run directory. Trained weights are not touched.

    Example:
    goldfold train lr-range runs/first --steps 100

    Next: goldfold train run runs/first --set models.0.stages.0.learning_rate=RATE
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.fold_trainings import choose_trainings
    from goldfold.pipeline.rate_search import rate_stepper, write_rate_range
    from goldfold.pipeline.stage_runs import stage_runs
    from goldfold.training.rate_range import RULE, rate_range

    run = open_run(run_folder, assignments)
    training = stage_runs(run, choose_trainings(run, fold, model)[:1], stage)[0]
    take_step = rate_stepper(run, training)
    with run.progress.task(f"lr-range {training.name}", steps) as task:

        def shown(rate: float) -> float:
            loss = take_step(rate)
            task.advance(1, lr=rate, loss=loss)
            return loss

        curve = rate_range(shown, lowest=lowest, highest=highest, steps=steps)
    table = run.directory.root / f"lr-range-{training.job.model.name}.csv"
    write_rate_range(table, curve, training.name)
    show.out(f"curve: {table} and {table.with_suffix('.png').name}")
    show.out(f"suggestion: learning_rate = {curve.suggestion:.2g} ({RULE})")
    place = f"models.{run.settings.models.index(training.job.model)}.stages.{stage - 1}"
    changed = f"--set {place}.learning_rate={curve.suggestion:.2g}"
    show.out(f"next: {run.command('train run')} {changed}")
