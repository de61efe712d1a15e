"""`goldfold predict image`: single images, with a run or an exported model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldfold.commands.options import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from goldfold.progress import Progress


def image_command(
    model_folder: Annotated[
        Path, typer.Argument(metavar="RUN|MODEL", help="Run directory, or folder of an export.")
    ],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Images, or folders of such."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for a PNG of each image with its mask."),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Run the Python code that builds networks of RUN or MODEL."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Predict single images: mask and run-length encoding, classes, grade or number.

    With -o, a picture of each mask is written: the image, the probability, the outline. Exit code 2
    if an image cannot be read; the others are predicted.

    A model with `neighbours` takes the files as one sequence in the order given, and each folder as
    a sequence of its own: by the position of its slices, or else by name.

    Example:
    goldfold predict image models/first chest.dcm -o pictures
    """
    from goldfold.commands import show
    from goldfold.errors import ImageError
    from goldfold.pipeline.model_folder import open_model

    progress = show.terminal_progress()
    model = open_model(model_folder, progress, trust=trust)
    described, problems = [], []
    for folder, paths in _sequences(files, progress):
        sequence = model.sequence(paths)
        if len(paths) == 1 and model.sees_neighbours:
            progress.warn(f"{paths[0]}: alone, so it stands in for its neighbours")
        for place, path in enumerate(paths):
            try:
                prediction = model.predict_in(sequence, place)
            except ImageError as error:
                problems.append(str(error))
                continue
            facts = {"file": str(path), **model.describe(prediction)}
            panels = [] if output is None else model.decision.panels(prediction)
            if output is not None and panels:
                facts["picture"] = str(_draw(output / folder, path, panels))
            described.append(facts)
    if as_json:
        show.out_json({"images": described, "problems": problems})
    else:
        for facts in described:
            first, *others = model.decision.lines(facts)
            show.out(f"{facts['file']}: {first}".rstrip(": "))
            for line in others:
                show.out(line)
            if "picture" in facts:
                show.out(f"  picture: {facts['picture']}")
        for problem in problems:
            show.out(f"PROBLEM: {problem}")
    if problems:
        raise typer.Exit(2)


def _sequences(given: list[Path], progress: Progress) -> list[tuple[str, list[Path]]]:
    """Return the sequences of images, each with the name of its folder, "" for single files."""
    from goldfold.competitions.folder_order import images_in_order

    files = [path for path in given if not path.is_dir()]
    sequences = [("", files)] if files else []
    for folder in (path for path in given if path.is_dir()):
        paths, order = images_in_order(folder)
        progress.say(f"{folder}: {len(paths):,} images, by {order}")
        sequences.append((folder.name, paths))
    return sequences


def _draw(folder: Path, path: Path, panels: list[NDArray[np.uint8]]) -> Path:
    """Write pictures of a prediction, one below the other, and return where."""
    import numpy as np

    from goldfold.submissions.overlay import write_overlay

    target = folder / f"{path.stem}.png"
    write_overlay(target, np.concatenate(panels))
    return target
