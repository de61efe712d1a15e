"""`goldfold demo`: every stage on a synthetic competition."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goldfold.commands.options import Assignments, Overwrite

PRESET = "siim-acr-pneumothorax"


def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for data and run.")] = Path(
        "demo"
    ),
    train: Annotated[int, typer.Option(help="Training images.", min=20)] = 200,
    test: Annotated[int, typer.Option(help="Test images.", min=8)] = 64,
    size: Annotated[int, typer.Option(help="Height and width in pixels.", min=64)] = 1024,
    seed: Annotated[int, typer.Option(help="Seed of the competition.", min=0)] = 0,
    recipe: Annotated[str, typer.Option(help="Recipe of the SIIM-ACR preset.")] = "demo",
    overwrite: Overwrite = False,
    assignments: Assignments = None,
) -> None:
    """Make a synthetic competition, run every stage on it, and score the submission.

    It says how long training will take here; a demo that was stopped resumes where it stopped.

    Example:
    goldfold demo demo --train 96 --test 32
    """
    import time

    from goldfold.commands import init as init_command
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.commands.run import run_all
    from goldfold.commands.submit import check_command
    from goldfold.competitions.synthetic.kinds import KINDS, make_competition

    began = time.monotonic()
    data, run_folder = folder / "data", folder / "run"
    changes = [f"competition.images.shape=[{size}, {size}]", *(assignments or [])]
    lines = make_competition(
        KINDS[PRESET],
        data,
        train=train,
        test=test,
        size=size,
        seed=seed,
        overwrite=overwrite,
        progress=show.terminal_progress(),
    )
    show.lines(lines)
    show.out()
    init_command.init(
        preset=PRESET,
        data=data,
        output=run_folder,
        recipe=recipe,
        assignments=changes,
        overwrite=overwrite,
    )
    show.out()
    run = open_run(run_folder)
    run_all(run, overwrite=overwrite)
    path = run.directory.submission(run.settings.submission.file)
    scores = run.task.score(path, data / "solution.csv", None, only_submitted=False)
    show.out()
    show.out("scored against the hidden solution:")
    show.lines(run.task.score_lines(scores))
    show.out(f"\n{time.monotonic() - began:.0f} s in all")
    show.out(f"next: {check_command(run, path)}")
