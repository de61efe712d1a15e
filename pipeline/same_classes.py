"""Whether two runs predict the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.errors import InputError

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun


def require_same_classes(run: OpenRun, other: OpenRun) -> None:
    """Accept another run that predicts the same classes, or the same masks, in the same way.

    Raises:
        InputError: it predicts others.
    """
    if not run.task.same_as(other.task):
        raise InputError(
            f"{other.directory.root} does not go with {run.directory.root}: it predicts "
            f"{other.task.describe()}, not {run.task.describe()}. Leave it out, or give both the "
            "same competition.classes, and the same competition.number_range."
        )
