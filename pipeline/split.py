"""The fold table of a run's present images and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.pipeline.open_run import OpenRun


def split_images(run: OpenRun) -> pd.DataFrame:
    """Return the fold table of the present images and settings.

    Raises:
        InputError: the split is impossible.
    """
    from goldfold.competitions.images_table import CLASSES, group_column, training_images
    from goldfold.folds.build import build_fold_table

    train = training_images(run.images)
    settings = run.settings.folds
    return build_fold_table(
        list(train["image_id"]),
        list(group_column(train, settings.group)),
        train["area_px"].to_numpy(),
        count=settings.count,
        seed=settings.seed,
        area_bins=settings.area_bins,
        classes=list(train[CLASSES]) if CLASSES in train.columns else None,
    )
