"""`goldfold competition`: a synthetic one to try things on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from goldfold.commands.options import Overwrite
from goldfold.competitions.synthetic.kinds import KINDS

app = typer.Typer(
    help="Make a competition of synthetic images.\n\n"
    "Example:\n\ngoldfold competition synthesize data/synthetic",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Keep `synthesize` a subcommand while it is the only one."""


@app.command("synthesize")
def synthesize(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make.")],
    like: Annotated[
        str,
        typer.Option(
            help=f"Preset whose file formats they have: {', '.join(KINDS)}.",
            autocompletion=lambda: list(KINDS),
        ),
    ] = "siim-acr-pneumothorax",
    train: Annotated[int, typer.Option(help="Training images.", min=4)] = 96,
    test: Annotated[int, typer.Option(help="Test images, if it has any.", min=4)] = 32,
    size: Annotated[
        int | None,
        typer.Option(
            help="Longer side in pixels; by default 1600 for steel, 360 for abdomens, 768 for "
            "ships, 101 for salt, 854 for endoscopy, 1024 for all others.",
            min=64,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.", min=0)] = 0,
    quirks: Annotated[
        bool, typer.Option("--quirks", help="Build in the oddities of the real files.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Make images in a competition's file formats; none shows a real patient.

    If there is a sample submission, there is also a hidden solution to score against.

    Example:
    goldfold competition synthesize data/synthetic --train 96 --test 32 --size 1024 --seed 0

    Next: goldfold init siim-acr-pneumothorax --data data/synthetic --recipe demo -o runs/synthetic
    """
    from goldfold.commands import show
    from goldfold.competitions.synthetic.kinds import kind_like, make_competition

    kind = kind_like(like)
    side = size if size is not None else kind.side
    lines = make_competition(
        kind,
        folder,
        train=train,
        test=test,
        size=side,
        seed=seed,
        quirks=quirks,
        overwrite=overwrite,
        progress=show.terminal_progress(),
    )
    show.lines(lines)
    words = ["goldfold", "init", like, "--data", str(folder), "--recipe", kind.recipe]
    if (shape := kind.shape_at(side)) is not None:
        words += ["--set", f"competition.images.shape=[{shape[0]},{shape[1]}]"]
    show.out(f"next: {shlex.join([*words, '-o', 'runs/synthetic'])}")
