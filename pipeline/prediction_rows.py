"""Rows of a submission that are groups of images, held against the folds of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.competitions.images_table import training_images
from goldfold.competitions.prediction_rows import row_ids
from goldfold.errors import LeakInputError, list_problems

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.pipeline.open_run import OpenRun


def refuse_split_rows(run: OpenRun, folds: pd.DataFrame) -> None:
    """Accept folds of which each holds whole rows of the submission.

    Else a row would be judged by models that were trained on some of its images.

    Args:
        run: the run.
        folds: its fold table.

    Raises:
        InputError: it is not clear which images make a row.
        LeakInputError: images of a row are in several folds; all such rows are named.
    """
    rows = run.settings.competition.rows
    if rows is None:
        return
    train = training_images(run.images)
    fold_of = dict(zip(folds["image_id"], folds["fold"], strict=True))
    folds_of: dict[str, set[int]] = {}
    for image_id, row_id in zip(train["image_id"], row_ids(train, rows), strict=True):
        if image_id in fold_of:
            folds_of.setdefault(row_id, set()).add(int(fold_of[image_id]))
    split = [
        f"{row_id}: folds {', '.join(map(str, sorted(numbers)))}"
        for row_id, numbers in folds_of.items()
        if len(numbers) > 1
    ]
    if split:
        raise LeakInputError(
            list_problems(
                f"images of {len(split):,} of {len(folds_of):,} rows of the submission "
                f"(competition.rows: {', '.join(rows.columns)}) are in several folds:",
                split,
                f'Set folds.group to a column that keeps them whole, such as "{rows.columns[0]}".',
            )
        )
