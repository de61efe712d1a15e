"""`goldfold predict image`: single images, with a run or an exported model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goldfold.commands.options import Json

if TYPE_CHECKING:
    from goldfold.ensemble.image_model import ImagePrediction


def image_command(
    model_folder: Annotated[
        Path, typer.Argument(metavar="RUN|MODEL", help="Run directory, or folder of an export.")
    ],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="DICOM, PNG or JPEG.")],
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
    """Predict single images: mask and run-length encoding, classes, grade or number, and why.

    With -o, a picture of each mask is written: the image, the probability, the outline. Exit code 2
    if an image cannot be read; the others are predicted.

    Example:
    goldfold predict image models/first chest.dcm -o pictures
    """
    from goldfold.commands import show
    from goldfold.errors import ImageError
    from goldfold.pipeline.image_models import describe, open_model

    model = open_model(model_folder, show.terminal_progress(), trust=trust)
    found, problems = [], []
    for path in files:
        try:
            prediction = model.predict(path)
        except ImageError as error:
            problems.append(str(error))
            continue
        facts = {"file": str(path), **describe(model, prediction)}
        if output is not None and (prediction.levels is not None or prediction.masks):
            facts["picture"] = str(_draw(output, path, prediction))
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


def _lines(facts: dict[str, Any]) -> list[str]:
    """Return what is said of an image, or of a mask of it."""
    if "masks" in facts:
        lines = [facts["file"]]
        for name, one in facts["masks"].items():
            lines += [f"  {line}" for line in _lines({"file": name, **one})]
        return [*lines, f"  picture: {facts['picture']}"] if "picture" in facts else lines
    if "number" in facts:
        grade = f"grade {facts['grade']} (" if "grade" in facts else ""
        return [f"{facts['file']}: {grade}number {facts['number']:.4g}{')' if grade else ''}"]
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
