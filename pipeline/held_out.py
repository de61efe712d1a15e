"""The images that a fold's training held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun


def held_out_images(run: OpenRun, job: FoldTraining) -> pd.DataFrame:
    """Return the rows of images.csv that a job did not train on, with fold and group, by id."""
    from goldfold.competitions.images_table import training_images

    train = training_images(run.images).merge(
        run.folds[["image_id", "fold", "group"]], on="image_id"
    )
    held_out = train[train["fold"] == job.fold]
    return held_out.sort_values("image_id", ignore_index=True)
