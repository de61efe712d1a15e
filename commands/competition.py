"""`goldfold competition`: a synthetic one to try things on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldfold.commands.options import Overwrite

if TYPE_CHECKING:
    from goldfold.competitions.synthetic import SyntheticReport

SIIM_SIZE = 1024
"""Height and width of the real images, which the preset expects."""

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
    test: Annotated[int, typer.Option(help="Test images.", min=4)] = 32,
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

    Next: goldfold init siim-acr-pneumothorax --data data/synthetic --recipe demo -o runs/synthetic
    """
    from goldfold.commands import show

    make_synthetic(folder, train, test, size, seed, quirks=quirks, overwrite=overwrite)
    words = ["goldfold", "init", "siim-acr-pneumothorax", "--data", str(folder), "--recipe", "demo"]
    if size != SIIM_SIZE:
        words += ["--set", f"competition.images.shape=[{size},{size}]"]
    show.out(f"next: {shlex.join([*words, '-o', 'runs/synthetic'])}")


def make_synthetic(
    folder: Path, train: int, test: int, size: int, seed: int, *, quirks: bool, overwrite: bool
) -> None:
    """Synthesize into a new or empty folder and print what was made.

    Nothing is done where the same competition is there already.

    Args:
        folder: where to.
        train: training images.
        test: test images.
        size: height and width in pixels.
        seed: same seed, same bytes.
        quirks: with the oddities of the real files.
        overwrite: remove another synthetic competition first; never anything else.

    Raises:
        InputError: the folder holds something else.
    """
    import shutil

    from goldfold.commands import show
    from goldfold.competitions.synthetic import synthesize as make
    from goldfold.competitions.synthetic.competition import FACTS_FILE
    from goldfold.errors import InputError

    synthetic = (folder / FACTS_FILE).is_file()
    if overwrite and synthetic:
        shutil.rmtree(folder)
    progress = show.terminal_progress()
    try:
        report = make(
            folder, train=train, test=test, size=size, seed=seed, quirks=quirks, progress=progress
        )
    except InputError as error:
        hint = " Or add --overwrite to replace it." if synthetic else ""
        raise InputError(f"{error}{hint}") from error
    _print_report(report, size)


def _print_report(report: SyntheticReport, size: int) -> None:
    from goldfold.commands import show

    counts = [
        ["training", report.train_images, report.train_patients, report.train_positive],
        [
            "test",
            report.test_images,
            report.test_patients,
            report.public_positive + report.private_positive,
        ],
    ]
    show.out(f"{report.folder}: {size} x {size} px, {report.label_rows:,} label rows")
    show.out(show.table(["images", "number", "patients", "with pneumothorax"], counts))
    for what, ids in (("no label row", report.unlabelled), ("no image", report.imageless)):
        if ids:
            show.out(f"with {what}: {len(ids)}")
