"""`goldfold train`: the trainings of every model, and what helps to plan them."""

from __future__ import annotations

from typing import Annotated

import typer

from goldfold.commands.options import Assignments, DryRun, Overwrite, RunFolder, StopAfter
from goldfold.commands.pseudo_label import pseudo_label_command
from goldfold.commands.train_plan import plan_command
from goldfold.commands.train_preview import preview_command
from goldfold.commands.train_range import range_command

app = typer.Typer(
    help="Train the models of a run on its folds.\n\nExample:\n\ngoldfold train run runs/first",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("run")
def run_command(
    run_folder: RunFolder,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    fold: Annotated[int | None, typer.Option(help="Only this fold.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only this seed of the model.")] = None,
    stage: Annotated[int | None, typer.Option(help="Only this stage, counted from 1.")] = None,
    stop_after: StopAfter = None,
    extend_epochs: Annotated[
        int, typer.Option(help="Train this many more epochs in finished stages.", min=0)
    ] = 0,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    assignments: Assignments = None,
) -> None:
    """Train every model, fold and stage; skip what is finished, resume what was stopped.

    SIGTERM and SIGINT (Ctrl-C) save and end with exit codes 143 and 130; --stop-after with 75.
    The same command resumes where it stopped. Several GPUs train one fold together:
    torchrun --nproc-per-node 2 -m goldfold train run RUN.

    Example:
    goldfold train run runs/first --fold 0

    Next: goldfold predict run runs/first
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.fold_trainings import choose_trainings, stage_numbers
    from goldfold.pipeline.group_questions import refuse_open_groups
    from goldfold.pipeline.images_stage import peek_images
    from goldfold.pipeline.plan import plan_training
    from goldfold.pipeline.training_stage import (
        choose_machine,
        quiet_unless_writer,
        train_jobs,
        writer_first,
    )
    from goldfold.pipeline.training_words import training_lines

    run = open_run(run_folder, assignments)
    jobs = choose_trainings(run, fold, model, seed)
    stage_numbers(jobs, stage)  # refuses a stage that there is not
    if dry_run:
        run.take_tables(peek_images(run)[0])
        for line in plan_training(run, jobs, overwrite, stage):
            show.out(line)
        return
    machine = choose_machine(run, stop_after)
    quiet = quiet_unless_writer(run, machine)
    with writer_first(machine.ranks):
        run.take_tables(quiet.images, quiet.folds)
        refuse_open_groups(quiet)  # folds.csv may be older than the question
    train_jobs(
        run,
        jobs,
        stage=stage,
        overwrite=overwrite,
        extend_epochs=extend_epochs,
        machine=machine,
    )
    if machine.ranks.is_writer:
        show.lines(training_lines(run, jobs, stage))
        show.out(f"next: {run.command('predict run')}")
    machine.ranks.end_process()


app.command("plan")(plan_command)
app.command("lr-range")(range_command)
app.command("preview")(preview_command)
app.command("pseudo-label")(pseudo_label_command)
