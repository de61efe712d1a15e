"""`goldfold competition`: a synthetic one to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goldfold.commands.options import Overwrite

app = typer.Typer(
    help="Make a competition of synthetic chest X-rays.\n\n"
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
    train: Annotated[int, typer.Option(help="Training images.", min=4)] = 96,
    test: Annotated[int, typer.Option(help="Test images.", min=2)] = 32,
    size: Annotated[int, typer.Option(help="Height and width in pixels.", min=64)] = 1024,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.", min=0)] = 0,
    quirks: Annotated[
        bool, typer.Option("--quirks", help="Build in the oddities of the real files.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Make chest phantoms in SIIM-ACR's file formats, with a hidden solution to score against.

    Example:
    goldfold competition synthesize data/synthetic --train 96 --test 32 --size 1024 --seed 0

    Next: goldfold init siim-acr-pneumothorax --data data/synthetic -o runs/synthetic
    """
    from goldfold.commands import show

    make_synthetic(folder, train, test, size, seed, quirks=quirks, overwrite=overwrite)
    show.out(f"next: goldfold init siim-acr-pneumothorax --data {folder} -o runs/synthetic")


def make_synthetic(
    folder: Path, train: int, test: int, size: int, seed: int, *, quirks: bool, overwrite: bool
) -> None:
    """Synthesize into a new or empty folder and print what was made.

    Raises:
        InputError: the folder holds something and may not be overwritten.
    """
    from goldfold.commands import show
    from goldfold.competitions.synthetic import synthesize as make
    from goldfold.errors import InputError

    if folder.exists() and any(folder.iterdir()) and not overwrite:
        raise InputError(f"{folder} is not empty. Choose another folder or add --overwrite.")
    progress = show.terminal_progress()
    report = make(
        folder, train=train, test=test, size=size, seed=seed, quirks=quirks, progress=progress
    )
    show.out(str(report))
