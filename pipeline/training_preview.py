"""A contact sheet of what a network is shown in training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.pipeline.training_data import fold_data
from goldfold.settings_augmentation import recipe_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.stage_runs import StageRun
    from goldfold.settings import StageSettings
    from goldfold.training.images import TrainingImages

    Pixels = NDArray[np.uint8]


def write_preview(path: Path, run: OpenRun, stage_run: StageRun, count: int, draws: int) -> int:
    """Write training images as they are and as epochs show them, masks outlined.

    Non-empty images come first; about a third of the rows are empty ones.

    Args:
        path: of the PNG.
        run: the run.
        stage_run: the stage of a fold's training.
        count: images, at most.
        draws: epochs beside each image.

    Returns:
        How many images there are.
    """
    import numpy as np

    from goldfold.competitions.synthetic.contact_sheet import write_contact_sheet

    data = fold_data(run, stage_run, {})
    order = np.argsort(~data.non_empty, kind="stable")
    empty = order[::-1][: min(count // 3, int((~data.non_empty).sum()))]
    chosen = [*order[: count - len(empty)].tolist(), *empty.tolist()]
    own = stage_run.job.model.own_channels
    tiles = [
        tile
        for number in chosen
        for tile in _row(data.images, number, stage_run.settings, draws, own)
    ]
    pixels, masks = [tile[0] for tile in tiles], [tile[1] for tile in tiles]
    write_contact_sheet(path, pixels, masks, columns=draws + 1)
    return len(chosen)


def _row(
    images: TrainingImages, number: int, stage: StageSettings, draws: int, own: slice
) -> list[tuple[Pixels, Pixels]]:
    """Return an image and its changed selves, gray, each with its mask of 0 and 1.

    Several masks are merged. Of an image with neighbours only its own channels are shown.
    """
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
    drawn = slice(-1) if images.cache.ignores else slice(None)  # ignored pixels are no mask
    return [(_gray(image, own), _binary(changed[drawn], soft)) for image, changed in pairs]


def _gray(image: Pixels, own: slice) -> Pixels:
    import cv2
    import numpy as np

    if image.ndim == 2:
        return image
    colours = np.ascontiguousarray(image[:, :, own])
    return colours[:, :, 0] if colours.shape[2] == 1 else cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)


def _binary(mask: Pixels, soft: bool) -> Pixels:
    import numpy as np

    binary = (mask > (127 if soft else 0)).astype(np.uint8)
    return binary if binary.ndim == 2 else binary.max(axis=0)
