"""`goldfold images`: image files themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goldfold.commands.options import Json, Overwrite
from goldfold.vocabulary import Pages, Stretch

app = typer.Typer(
    help="Convert image files.\n\nExample:\n\ngoldfold images convert data/dicom -o data/png",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Keep `convert` a subcommand while it is the only one."""


@app.command("convert")
def convert(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...", help="DICOM, PNG, JPEG, TIFF, GIF, BMP, WEBP files or folders."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the PNG files.")],
    bits: Annotated[int, typer.Option(help="Bits of a gray PNG: 8 or 16.")] = 8,
    window: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|CENTER:WIDTH",
            help="See gray images of more than 8 bits through this window instead of their own, "
            "e.g. brain or 40:80; up to three become red, green and blue.",
        ),
    ] = None,
    stretch: Annotated[
        Stretch, typer.Option(help="As competition.images.stretch, for images without --window.")
    ] = "auto",
    percentiles: Annotated[
        tuple[float, float], typer.Option(help="Where --stretch percentile begins and ends.")
    ] = (0.5, 99.5),
    pages: Annotated[
        Pages, typer.Option(help="Of a TIFF, GIF or WEBP of several pictures: stop, or the first.")
    ] = "error",
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; all cores if unset.")] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write images as PNG files, in the same folders.

    Gray images look as they do in training: rescaled, through their window, 0 is black. Files
    that already exist are left alone. Exit code 2 if an image cannot be read, or keeps so few of
    its levels that --window or --stretch is needed.

    Example:
    goldfold images convert data/dicom -o data/png --window brain --window subdural --window bone
    """
    from goldfold.commands import show
    from goldfold.competitions.convert import convert_images, plan_conversion
    from goldfold.competitions.reading import Reading
    from goldfold.competitions.window import get_window
    from goldfold.errors import InputError, plural
    from goldfold.workers import default_workers

    if bits not in (8, 16):
        raise InputError(f"--bits {bits}: a gray PNG has 8 or 16.")
    windows = [get_window(text) for text in window or []]
    if len(windows) > 3:
        raise InputError(f"--window was given {len(windows)} times; a PNG has three colours.")
    if not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise InputError(
            f"--percentiles {percentiles[0]:g} {percentiles[1]:g}: expected two shares in percent, "
            "the lower one first, such as 0.5 99.5."
        )
    converted = convert_images(
        plan_conversion(sources, output),
        bits=16 if bits == 16 else 8,
        reading=Reading(tuple(windows), stretch=stretch, percentiles=percentiles, pages=pages),
        overwrite=overwrite,
        workers=workers or default_workers(),
        progress=show.terminal_progress(),
    )
    if as_json:
        show.out_json(
            {
                "written": [str(path) for path in converted.written],
                "skipped": [str(path) for path in converted.skipped],
                "problems": converted.problems,
            }
        )
    else:
        there = f", {len(converted.skipped):,} already there" if converted.skipped else ""
        show.out(f"{output}: {plural(len(converted.written), 'file', 'files')} written{there}")
        for problem in converted.problems:
            show.out(f"PROBLEM: {problem}")
    if converted.problems:
        raise typer.Exit(2)
