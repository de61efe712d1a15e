"""`goldfold train preview`: a contact sheet of what a network is shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldfold.commands.options import Assignments, RunFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from goldfold.settings import StageSettings
    from goldfold.training.images import TrainingImages

    Pixels = NDArray[np.uint8]


def preview_command(
    run_folder: RunFolder,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="PNG; preview-MODEL.png in the run directory."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="This model; the first unless given.")] = None,
    stage: Annotated[int, typer.Option(help="Settings of this stage, from 1.")] = 1,
    count: Annotated[int, typer.Option("--images", help="Rows of the sheet.", min=1)] = 6,
    draws: Annotated[int, typer.Option(help="Epochs beside each image.", min=1)] = 5,
    assignments: Assignments = None,
) -> None:
    """Write a sheet of training images as they are and as epochs show them, masks outlined.

    The first column is the image before augmentation. Non-empty images come first.

    Example:
    goldfold train preview runs/first --images 4

    Next: goldfold train plan runs/first
    """
    import numpy as np

    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.competitions.synthetic.contact_sheet import write_contact_sheet
    from goldfold.pipeline.fold_trainings import choose_trainings
    from goldfold.pipeline.stage_runs import stage_runs
    from goldfold.pipeline.training_data import fold_data
    from goldfold.settings_augmentation import augmentation_in_words

    run = open_run(run_folder, assignments)
    one = stage_runs(run, choose_trainings(run, model=model)[:1], stage)[0]
    data = fold_data(run, one, {})
    order = np.argsort(~data.non_empty, kind="stable")
    empty = order[::-1][: min(count // 3, int((~data.non_empty).sum()))]
    some = [*order[: count - len(empty)].tolist(), *empty.tolist()]
    tiles = [tile for number in some for tile in _row(data.images, number, one.settings, draws)]
    path = output or run.directory.root / f"preview-{one.job.model.name}.png"
    write_contact_sheet(path, [t[0] for t in tiles], [t[1] for t in tiles], columns=draws + 1)
    recipe = augmentation_in_words(one.settings.augmentation)
    show.out(f"{len(some)} images, as they are and in {draws} epochs of {recipe}: {path}")
    show.out(f"next: {run.command('train plan')}")


def _row(
    images: TrainingImages, number: int, stage: StageSettings, draws: int
) -> list[tuple[Pixels, Pixels]]:
    """Return an image and its changed selves, gray, each with its mask of 0 and 1.

    Several masks are united.
    """
    from goldfold.settings_augmentation import recipe_of
    from goldfold.training.augmentation.pipeline import augment

    mask, soft = images.mask(number)
    pairs = [(images.pixels(number), mask)]
    for epoch in range(draws):
        pairs.append(
            augment(
                images.pixels(number),
                mask,
                recipe_of(stage.augmentation),
                0,
                epoch,
                images.key(number),
                crop=stage.crop_size,
                soft=soft,
                classes=images.classes_per_pixel > 0,
                mirror=images.mirror,
            )
        )
    return [(_gray(image), _binary(changed, soft)) for image, changed in pairs]


def _gray(image: Pixels) -> Pixels:
    import cv2

    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def _binary(mask: Pixels, soft: bool) -> Pixels:
    import numpy as np

    binary = (mask > (127 if soft else 0)).astype(np.uint8)
    return binary if binary.ndim == 2 else binary.max(axis=0)
