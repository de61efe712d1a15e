"""`goldfold train pseudo-label`: labels for unlabelled images, fold by fold, without a leak."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from goldfold.commands.options import Assignments, Overwrite, RunFolder

if TYPE_CHECKING:
    from goldfold.tasks.task import Task

Kind = Literal["soft", "hard"]


def pseudo_label_command(
    run_folder: RunFolder,
    into: Annotated[
        Path | None,
        typer.Option(help="Run that will learn from them, with the same folds; RUN unless given."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the pseudo-labels.")] = "pseudo-labels",
    labels: Annotated[Kind, typer.Option(help="Probabilities (soft), or 0 and 1 (hard).")] = "soft",
    confidence: Annotated[
        float, typer.Option(help="Lowest confidence of an image that is kept.", min=0.0, max=1.0)
    ] = 0.9,
    overwrite: Overwrite = False,
    assignments: Assignments = None,
) -> None:
    """Turn the predictions on the test images into labels for further training.

    Fold K learns from the models of fold K alone, because the others were trained on its images.
    Images whose group (patient) has labelled images are left out. The confidence of a mask is the
    Dice that its map expects, or, if the mask is empty, one minus the highest probability; of
    several masks per image, the lowest counts. With exclusive classes it is the highest
    probability. With other classes it is that of the least certain class, where the certainty of a
    class is the larger of p and 1 - p.

    Example:
    goldfold train pseudo-label runs/first --into runs/second --confidence 0.9

    Next: set pseudo_labels = { name = "pseudo-labels", share = 0.3 } in a stage, then goldfold
    train run
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.pipeline.pseudo_label_stage import write_pseudo_labels
    from goldfold.pipeline.pseudo_labels import pseudo_folder

    run = open_run(run_folder, assignments)
    target = run if into is None else open_run(into)
    tables = write_pseudo_labels(
        run, target, name=name, labels=labels, confidence=confidence, overwrite=overwrite
    )
    for line in _summary(run.task, tables):
        show.out(line)
    show.out(f"pseudo-labels: {pseudo_folder(target, name)}")
    show.out(
        f'next: set pseudo_labels = {{ name = "{name}", share = 0.3 }} in a stage of '
        f"{target.directory.settings}, then `{target.command('train run')}`"
    )


def _summary(task: Task, tables: Sequence[list[dict[str, Any]]]) -> list[str]:
    lines = []
    for table in tables:
        kept = [row for row in table if row["kept"]]
        summary = task.pseudo_summary(kept)
        images = f"{len(kept):,} of {len(table):,} images kept"
        lines.append(f"fold {table[0]['fold']}: {images}{', ' + summary if summary else ''}")
    return lines
