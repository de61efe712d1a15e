"""`goldfold train plan`: what a training will show and how long it will take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldfold.commands.options import Assignments, RunFolder

if TYPE_CHECKING:
    from goldfold.pipeline.training_plan import PlannedEpoch


def plan_command(
    run_folder: RunFolder,
    model: Annotated[str | None, typer.Option(help="Only this model; all by default.")] = None,
    fold: Annotated[int | None, typer.Option(help="Only this fold; the first by default.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="PNG file; by default train-plan-MODEL.png in the run directory."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Measure the time of some steps.")
    ] = True,
    assignments: Assignments = None,
) -> None:
    """Print each epoch's images, steps and learning rate, and the expected time; draw the plan.

    The time is measured on a few real steps with random images, that of validation without the
    backward pass. Making batches is not included, because it happens in parallel.

    Example:
    goldfold train plan runs/first --no-measure

    Next: goldfold train run runs/first
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.fold_trainings import choose_trainings
    from goldfold.pipeline.stage_runs import stage_runs
    from goldfold.pipeline.training_plan import plan_stage, plan_table
    from goldfold.pipeline.training_plan_picture import draw_plan
    from goldfold.pipeline.training_stage import choose_machine

    run = open_run(run_folder, assignments)
    machine = choose_machine(run) if measure else None
    if machine is not None:
        run.progress.say(f"device: {machine.device.description}")
    jobs = choose_trainings(run, fold, model)
    names = [planned.name for planned in run.settings.models if model in (None, planned.name)]
    for name in names:
        its = [job for job in jobs if job.model.name == name]
        stages = stage_runs(run, its[:1])
        rows = [row for stage in stages for row in plan_stage(run, stage, machine)]
        show.out(f"{name}, fold {its[0].fold}:")
        show.out(show.table(*plan_table(rows)))
        path = plot or run.directory.root / f"train-plan-{name}.png"
        draw_plan(path, rows, name)
        show.out(f"plot: {path}")
        if measure:
            _print_time(rows, len(its))
    show.out(f"next: {run.command('train run')}")


def _print_time(rows: Sequence[PlannedEpoch], trainings: int) -> None:
    from goldfold.commands import show
    from goldfold.errors import plural

    hours = sum(row.seconds or 0.0 for row in rows) / 3600
    all_of_them = plural(trainings, "training", "trainings")
    show.out(f"expected: {hours:.2f} h for one, {hours * trainings:.2f} h for {all_of_them}")
