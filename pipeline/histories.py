"""The histories of all trainings of a run as one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.errors import InputError
from goldfold.pipeline.fold_trainings import choose_trainings, stage_numbers

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.pipeline.open_run import OpenRun


def read_histories(run: OpenRun) -> pd.DataFrame:
    """Return one row per epoch: model, seed, fold, stage, then the columns of history.csv.

    Raises:
        InputError: no training has begun.
    """
    import pandas as pd

    tables = []
    for training, number in stage_numbers(choose_trainings(run), None):
        path = training.stage_folder(run, number) / "history.csv"
        if path.is_file():
            table = pd.read_csv(path)
            place = pd.DataFrame(
                {
                    "model": training.model.name,
                    "seed": training.seed,
                    "fold": training.fold,
                    "stage": number,
                },
                index=table.index,
            )
            tables.append(place.join(table))
    if not tables:
        raise InputError(
            f"{run.directory.root} has no history yet. Train first: `{run.command('train run')}`, "
            "or run.train() in Python."
        )
    return pd.concat(tables, ignore_index=True)
