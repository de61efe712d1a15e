"""`goldfold train`: the trainings of every model, and what helps to plan them."""

from __future__ import annotations

from typing import Annotated

import typer

from goldfold.commands.options import Assignments, Devices, DryRun, Overwrite, RunFolder, StopAfter
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
    devices: Devices = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    assignments: Assignments = None,
) -> None:
    """Train every model, fold and stage; skip what is finished, resume what was stopped.

    SIGTERM and SIGINT (Ctrl-C) save and end with exit codes 143 and 130; --stop-after with 75.
    The same command resumes where it stopped. Several GPUs train one fold each at a time; one
    fold together by torchrun --nproc-per-node 2 -m goldfold train run RUN.

    Example:
    goldfold train run runs/first --fold 0

    Next: goldfold predict run runs/first
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.errors import InputError
    from goldfold.pipeline.fold_trainings import choose_trainings, stage_numbers
    from goldfold.pipeline.group_questions import refuse_open_groups
    from goldfold.pipeline.images_stage import peek_images
    from goldfold.pipeline.job_list import Wanted
    from goldfold.pipeline.open_questions import refuse_open_questions
    from goldfold.pipeline.plan import plan_training
    from goldfold.pipeline.side_by_side import machine_of_one_device, train_all
    from goldfold.pipeline.training_stage import writer_first
    from goldfold.pipeline.training_words import training_lines
    from goldfold.progress import SILENT
    from goldfold.training.ranks import Ranks

    if overwrite and extend_epochs:
        raise InputError(
            "--overwrite deletes the training that --extend-epochs would continue: choose one."
        )
    run = open_run(run_folder, assignments, devices)
    refuse_open_questions(run)
    jobs = choose_trainings(run, fold, model, seed)
    stage_numbers(jobs, stage)  # refuses a stage that there is not
    if dry_run:
        run.take_tables(peek_images(run)[0])
        for line in plan_training(run, jobs, overwrite, stage):
            show.out(line)
        return
    machine = machine_of_one_device(run, stop_after)
    ranks = Ranks() if machine is None else machine.ranks
    quiet = run if ranks.is_writer else run.with_progress(SILENT)
    with writer_first(ranks):
        run.take_tables(quiet.images, quiet.folds)
        refuse_open_groups(quiet)  # folds.csv may be older than the question
    wanted = Wanted(
        jobs,
        stage,
        overwrite=overwrite,
        extend_epochs=extend_epochs,
        stop_after=stop_after,
    )
    train_all(run, wanted, machine)
    if ranks.is_writer:
        show.lines(training_lines(run, jobs, stage))
        show.out(f"next: {run.command('predict run')}")
    ranks.end_process()


app.command("plan")(plan_command)
app.command("lr-range")(range_command)
app.command("preview")(preview_command)
app.command("pseudo-label")(pseudo_label_command)
