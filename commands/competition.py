"""`goldfold competition`: a synthetic one to try things on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldfold.commands.options import Overwrite

if TYPE_CHECKING:
    from goldfold.competitions.synthetic import SyntheticReport

SIIM = "siim-acr-pneumothorax"
LUNGS = "montgomery-lungs"
PNEUMONIA = "chest-xray-pneumonia"
HEMORRHAGE = "rsna-intracranial-hemorrhage"
APTOS = "aptos-2019-blindness"
STEEL = "severstal-steel"
ABDOMEN = "uw-madison"
SHIPS = "airbus-ship"
SALT = "tgs-salt"
ENDOSCOPY = "cholecseg8k"
KINDS = (SIIM, LUNGS, PNEUMONIA, HEMORRHAGE, APTOS, STEEL, ABDOMEN, SHIPS, SALT, ENDOSCOPY)
USUAL_SIZE = 1024
SIZES = {STEEL: 1600, ABDOMEN: 360, SHIPS: 768, SALT: 101, ENDOSCOPY: 854}
"""Longer side where it is not `USUAL_SIZE`: that of the real images."""
SHAPES = {SIIM: (1024, 1024), STEEL: (256, 1600), SHIPS: (768, 768), SALT: (101, 101)}
"""Height and width that a preset expects of every image."""

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
    ] = SIIM,
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
    from goldfold.errors import InputError, did_you_mean

    if like not in KINDS:
        hint = did_you_mean(like, KINDS)
        raise InputError(f"--like {like}: there are {', '.join(KINDS)}.{hint}")
    side = size if size is not None else SIZES.get(like, USUAL_SIZE)
    given = {"quirks": quirks, "overwrite": overwrite}
    if like == LUNGS:
        make_lungs(folder, train, side, seed, **given)
    elif like in (PNEUMONIA, HEMORRHAGE, APTOS):
        make_classes(like, folder, train, test, side, seed, **given)
    elif like == SIIM:
        make_synthetic(folder, train, test, side, seed, **given)
    else:
        make_masks(like, folder, train, test, side, seed, **given)
    words = ["goldfold", "init", like, "--data", str(folder)]
    words += ["--recipe", "demo" if like == SIIM else "quick"]
    if like in SHAPES and side != max(SHAPES[like]):
        height, width = (round(length * side / max(SHAPES[like])) for length in SHAPES[like])
        words += ["--set", f"competition.images.shape=[{height},{width}]"]
    show.out(f"next: {shlex.join([*words, '-o', 'runs/synthetic'])}")


def make_lungs(
    folder: Path, images: int, size: int, seed: int, *, quirks: bool, overwrite: bool
) -> None:
    """Synthesize lungs into a new or empty folder and print what was made; as `make_synthetic`.

    Raises:
        InputError: the folder holds something else.
    """
    from goldfold.commands import show
    from goldfold.competitions.synthetic import synthesize_lungs

    with _replacing(folder, overwrite):
        report = synthesize_lungs(
            folder,
            images=images,
            size=size,
            seed=seed,
            quirks=quirks,
            progress=show.terminal_progress(),
        )
    show.out(f"{report.folder}: {report.images:,} images, {report.mask_files:,} mask files")
    _print_quirks(("no mask", report.unlabelled), ("no image", report.imageless))


def make_classes(
    like: str,
    folder: Path,
    train: int,
    test: int,
    size: int,
    seed: int,
    *,
    quirks: bool,
    overwrite: bool,
) -> None:
    """Synthesize images with classes and print what was made; as `make_synthetic`.

    Raises:
        InputError: the folder holds something else.
    """
    from goldfold.commands import show
    from goldfold.competitions import synthetic

    makers = {
        PNEUMONIA: synthetic.synthesize_pneumonia,
        HEMORRHAGE: synthetic.synthesize_hemorrhage,
        APTOS: synthetic.synthesize_retinopathy,
    }
    make = makers[like]
    progress = show.terminal_progress()
    with _replacing(folder, overwrite):
        report = make(
            folder, train=train, test=test, size=size, seed=seed, quirks=quirks, progress=progress
        )
    show.out(
        f"{report.folder}: {report.train_images:,} training and {report.test_images:,} test images "
        f"of {report.patients:,} patients"
    )
    for planted in report.quirks:
        show.out(f"planted: {planted}")


def make_masks(
    like: str,
    folder: Path,
    train: int,
    test: int,
    size: int,
    seed: int,
    *,
    quirks: bool,
    overwrite: bool,
) -> None:
    """Synthesize images with several masks or objects and print what was made.

    As `make_synthetic`.

    Raises:
        InputError: the folder holds something else.
    """
    from goldfold.commands import show
    from goldfold.competitions import synthetic

    makers = {
        STEEL: synthetic.synthesize_steel,
        ABDOMEN: synthetic.synthesize_abdomen,
        SHIPS: synthetic.synthesize_ships,
        SALT: synthetic.synthesize_salt,
        ENDOSCOPY: synthetic.synthesize_endoscopy,
    }
    with _replacing(folder, overwrite):
        report = makers[like](
            folder,
            train=train,
            test=test,
            size=size,
            seed=seed,
            quirks=quirks,
            progress=show.terminal_progress(),
        )
    show.out(
        f"{report.folder}: {report.train_images:,} training images, {report.with_mask:,} of them "
        f"with a mask, {report.test_images:,} test images, {report.label_rows:,} label rows"
    )
    for planted in report.quirks:
        show.out(f"planted: {planted}")


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
    from goldfold.commands import show
    from goldfold.competitions.synthetic import synthesize as make

    progress = show.terminal_progress()
    with _replacing(folder, overwrite):
        report = make(
            folder, train=train, test=test, size=size, seed=seed, quirks=quirks, progress=progress
        )
    _print_report(report, size)


@contextmanager
def _replacing(folder: Path, overwrite: bool) -> Iterator[None]:
    """Remove another synthetic competition first if that is wanted, else offer it."""
    import shutil

    from goldfold.competitions.synthetic.competition_folder import FACTS_FILE
    from goldfold.errors import InputError

    synthetic = (folder / FACTS_FILE).is_file()
    if overwrite and synthetic:
        shutil.rmtree(folder)
    try:
        yield
    except InputError as error:
        hint = " Or add --overwrite to replace it." if synthetic else ""
        raise InputError(f"{error}{hint}") from error


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
    _print_quirks(("no label row", report.unlabelled), ("no image", report.imageless))


def _print_quirks(*quirks: tuple[str, tuple[str, ...]]) -> None:
    from goldfold.commands import show

    for what, ids in quirks:
        if ids:
            show.out(f"with {what}: {len(ids)}")
