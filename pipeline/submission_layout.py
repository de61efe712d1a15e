"""The sample submission of a run's competition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.competitions.data_folder import require_table

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun


def sample_path(run: OpenRun) -> Path:
    """Return the sample submission of a run's competition.

    Raises:
        InputError: there is none.
    """
    return require_table(
        run.settings.competition.data,
        run.settings.competition.submission.sample,
        "sample submission",
        "competition.submission.sample",
    )
