"""`goldfold export`: the finished model of a run, for use anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goldfold.commands.options import Assignments, Overwrite, RunFolder


def export(
    run_folder: RunFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")],
    onnx: Annotated[
        bool,
        typer.Option("--onnx", help="Write an ONNX file of each member, too (extra `onnx`)."),
    ] = False,
    overwrite: Overwrite = False,
    assignments: Assignments = None,
) -> None:
    """Write weights, settings, thresholds and a model card into a folder that needs no data.

    It contains the networks that the run predicts with: the best checkpoints of every fold, or
    their average if inference.average is set.

    Example:
    goldfold export runs/first -o models/first

    Next: goldfold predict image models/first IMAGE...
    """
    import shlex

    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.exported_files import single_images_only, write_model
    from goldfold.pipeline.exported_model import model_of_run

    run = open_run(run_folder, assignments)
    model = model_of_run(run)
    written = write_model(run, model, output, onnx=onnx, overwrite=overwrite)
    size = sum(path.stat().st_size for path in written) / 1e6
    show.out(f"model: {output}, {len(written)} files, {size:.1f} MB")
    if limits := single_images_only(run.settings.competition.rows):
        show.out(f"notice: {limits}")
    show.out(f"next: goldfold predict image {shlex.quote(str(output))} IMAGE...")
