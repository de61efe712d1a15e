"""The fold table of a run's present images and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.competitions.images_table import CLASSES, NUMBER, group_column, training_images
from goldfold.folds.build import build_fold_table
from goldfold.folds.strata import number_strata

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.pipeline.open_run import OpenRun
    from goldfold.settings import FoldSettings


def split_images(run: OpenRun) -> pd.DataFrame:
    """Return the fold table of the present images and settings.

    Raises:
        InputError: the split is impossible.
    """
    train = training_images(run.images)
    settings = run.settings.folds
    return build_fold_table(
        list(train["image_id"]),
        list(group_column(train, settings.group)),
        train["area_px"].to_numpy(),
        count=settings.count,
        seed=settings.seed,
        area_bins=settings.area_bins,
        classes=_strata_by_label(train, settings),
    )


def _strata_by_label(train: pd.DataFrame, settings: FoldSettings) -> list[str] | None:
    """Return what is spread evenly besides images: classes or quantiles; None for mask areas."""
    if CLASSES in train.columns:
        return list(train[CLASSES])
    if NUMBER in train.columns:
        return number_strata(
            train[NUMBER].astype(float).tolist(), settings.count, settings.area_bins
        )
    return None
