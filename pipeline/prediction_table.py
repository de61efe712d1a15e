"""The predictions of a run as one table, where an image has a row of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.errors import InputError
from goldfold.pipeline.members import Members
from goldfold.pipeline.predictions import ready_jobs, store_of

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.predictions import Split


def prediction_table(run: OpenRun, split: Split) -> pd.DataFrame:
    """Return one row per training and image: model, seed, fold, image_id and the numbers.

    Args:
        run: the run.
        split: which predictions.

    Raises:
        InputError: predictions are missing or outdated, or they are maps.
    """
    import pandas as pd

    from goldfold.ensemble.blend import close_members
    from goldfold.inference.row_table import read_rows

    if not run.task.row_columns:
        raise InputError(
            f"{run.directory.root} predicts {run.task.describe()}, which are stored as maps of the "
            "size of an image, not as a table. Read them with goldfold.inference.MapReader."
        )
    close_members(Members(run).open(split))  # refuses what is missing or outdated
    parts = []
    for job in ready_jobs(run):
        table = read_rows(store_of(run, job, split)).reset_index()
        table.insert(0, "model", job.model.name)
        table.insert(1, "seed", job.seed)
        table.insert(2, "fold", job.fold)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)
