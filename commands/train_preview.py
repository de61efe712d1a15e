"""`goldfold train preview`: a contact sheet of what a network is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goldfold.commands.options import Assignments, RunFolder


def preview_command(
    run_folder: RunFolder,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="PNG file; by default preview-MODEL.png in the run directory."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Only this model; the first by default.")
    ] = None,
    stage: Annotated[int, typer.Option(help="Stage whose settings are used, from 1.")] = 1,
    count: Annotated[int, typer.Option("--images", help="Rows of the sheet.", min=1)] = 6,
    draws: Annotated[int, typer.Option(help="Augmented versions of each image.", min=1)] = 5,
    assignments: Assignments = None,
) -> None:
    """Write a sheet of training images, as they are and augmented, with masks outlined.

    The first column is the image before augmentation. Non-empty images come first.

    Example:
    goldfold train preview runs/first --images 4

    Next: goldfold train plan runs/first
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.fold_trainings import choose_trainings
    from goldfold.pipeline.stage_runs import stage_runs
    from goldfold.pipeline.training_preview import write_preview
    from goldfold.settings_augmentation import augmentation_in_words

    run = open_run(run_folder, assignments)
    training = stage_runs(run, choose_trainings(run, model=model)[:1], stage)[0]
    path = output or run.directory.root / f"preview-{training.job.model.name}.png"
    images = write_preview(path, run, training, count, draws)
    recipe = augmentation_in_words(training.settings.augmentation)
    show.out(f"{images} images, as they are and augmented by {recipe} in {draws} epochs: {path}")
    show.out(f"next: {run.command('train plan')}")
