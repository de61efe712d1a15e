"""Whether two runs predict the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.settings import CompetitionSettings


def require_same_classes(run: OpenRun, other: OpenRun) -> None:
    """Accept another run that predicts the same classes, or the same masks, in the same way.

    Masks are read by the names of their classes, so these may stand in another order.

    Raises:
        InputError: it predicts others.
    """
    from goldfold.errors import InputError

    mine, its = run.settings.competition, other.settings.competition
    if _what(mine) != _what(its):
        raise InputError(
            f"{other.directory.root} does not go with {run.directory.root}: it predicts "
            f"{_told(its)}, not {_told(mine)}. Leave it out, or give both the same "
            "competition.classes."
        )


def _what(form: CompetitionSettings) -> tuple[object, ...]:
    """Return what has to be the same."""
    classes = form.classes if form.is_classification else sorted(form.classes)
    return form.task, form.exclusive, *classes


def _told(form: CompetitionSettings) -> str:
    names = ", ".join(form.classes)
    if not form.is_classification:
        return f"masks of {names}" if names else "one mask an image"
    return f"the classes {names}, {'one' if form.exclusive else 'any number'} an image"
