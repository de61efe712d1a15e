"""`goldfold predict image`: single images, with a run or an exported model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goldfold.commands.options import Json

if TYPE_CHECKING:
    from goldfold.ensemble.image_model import ImagePrediction
    from goldfold.progress import Progress


def image_command(
    model_folder: Annotated[
        Path, typer.Argument(metavar="RUN|MODEL", help="Run directory, or folder of an export.")
    ],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="DICOM, PNG or JPEG, or folders of such."),
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
    """Predict single images: mask area and run-length encoding, or classes; and what led there.

    With -o, a picture of each mask is written: the image, the probability, the outline. Exit code 2
    if an image cannot be read; the others are predicted.

    A model with `neighbours` takes the files as one sequence in the order given, and each folder as
    a sequence of its own: by the position of its slices, or else by name.

    Example:
    goldfold predict image models/first chest.dcm -o pictures
    """
    from goldfold.commands import show
    from goldfold.errors import ImageError
    from goldfold.pipeline.image_models import describe, open_model

    progress = show.terminal_progress()
    model = open_model(model_folder, progress, trust=trust)
    found, problems = [], []
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
            facts = {"file": str(path), **describe(model, prediction)}
            if output is not None and (prediction.levels is not None or prediction.masks):
                facts["picture"] = str(_draw(output / folder, path, prediction))
            found.append(facts)
    if as_json:
        show.out_json({"images": found, "problems": problems})
    else:
        for facts in found:
            for line in _lines(facts):
                show.out(line)
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


def _lines(facts: dict[str, Any]) -> list[str]:
    """Return what is said of an image, or of a mask of it."""
    if "masks" in facts:
        lines = [facts["file"]]
        for name, one in facts["masks"].items():
            lines += [f"  {line}" for line in _lines({"file": name, **one})]
        return [*lines, f"  picture: {facts['picture']}"] if "picture" in facts else lines
    if "classes" in facts:
        said = ", ".join(facts["predicted"]) or "none of the classes"
        chances = ", ".join(f"{name} {p:.3f}" for name, p in facts["classes"].items())
        return [f"{facts['file']}: {said} ({chances})"]
    presence = facts["presence"]
    told = "" if presence is None else f", presence {presence:.3f}"
    share = facts["mask_px"] / (facts["height"] * facts["width"])
    area = facts["mask_px"]
    what = f"mask of {area:,} px ({share:.1%})" if area else "empty mask"
    highest = f"highest probability {facts['highest_probability']:.3f}"
    lines = [f"{facts['file']}: {what}, {highest}{told}"]
    if area:
        lines.append(f"  {facts['dialect']}: {facts['rle']}")
    if "picture" in facts:
        lines.append(f"  picture: {facts['picture']}")
    return lines


def _draw(folder: Path, path: Path, prediction: ImagePrediction) -> Path:
    """Write the picture of a mask, of several one below the other, and return where."""
    import numpy as np

    from goldfold.submissions.overlay import draw_overlay, write_overlay

    panels = []
    for one in prediction.masks.values() if prediction.masks else [prediction]:
        assert one.levels is not None
        assert one.mask is not None
        panels.append(draw_overlay(one.pixels, one.levels, one.mask))
    target = folder / f"{path.stem}.png"
    write_overlay(target, np.concatenate(panels))
    return target
