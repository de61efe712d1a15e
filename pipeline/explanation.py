"""Why an image got what it got."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.competitions.prediction_rows import row_ids
from goldfold.errors import InputError, did_you_mean
from goldfold.pipeline.ensemble_stage import require_ensemble
from goldfold.pipeline.members import Members

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.pipeline.open_run import OpenRun
    from goldfold.tasks.results import Explanation


def explain(run: OpenRun, image_id: str) -> list[Explanation]:
    """Return why an image got its classes or its mask, or each of its masks.

    A test image is explained by the submission's predictions, a training image by those out of
    fold, held against the truth.

    Args:
        run: the run.
        image_id: of an image, or of a row of the submission, which stands for its first image.

    Raises:
        InputError: there is no such image, or predictions or ensemble are missing or outdated.
    """
    row = image_row(run, first_of_row(run, image_id))
    require_ensemble(run)
    return run.task.explain(run, Members(run), row)


def first_of_row(run: OpenRun, name: str) -> str:
    """Return the first image of a row of the submission; the name itself where it is none.

    Raises:
        InputError: it is not clear which images make a row.
    """
    rows = run.settings.competition.rows
    if rows is None or (run.images["image_id"] == name).any():
        return name
    ids = run.images["image_id"].tolist()
    return next((own for own, row in zip(ids, row_ids(run.images, rows), strict=True)
                 if row == name), name)  # fmt: skip


def image_row(run: OpenRun, image_id: str) -> pd.Series:
    """Return the row of an image in images.csv.

    Raises:
        InputError: there is no such image.
    """
    rows = run.images[run.images["image_id"] == image_id]
    if rows.empty:
        hint = did_you_mean(image_id, list(run.images["image_id"]))
        raise InputError(f"{run.directory.images} has no image {image_id!r}.{hint}")
    return rows.iloc[0]


def read_pixels(run: OpenRun, image_id: str) -> NDArray[np.uint8]:
    """Return an image at its original size: (H, W), or (H, W, 3) if a model takes three channels.

    Raises:
        InputError: there is no such image.
        ImageError: it cannot be read.
    """
    from goldfold.competitions.image import read_image, reading_of

    row, data = image_row(run, image_id), run.settings.competition.data
    channels = max(model.channels for model in run.settings.models)
    reading = reading_of(run.settings.competition.images)
    return read_image(data / row["path"], channels, data, reading)


def overlay_path(run: OpenRun, image_id: str) -> Path:
    """Return where the picture is written unless another place is named."""
    return run.directory.root / "explained" / f"{image_id.replace('/', '_')}.png"
