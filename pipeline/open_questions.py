"""Stops a run while goldfold.toml has open questions."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from goldfold.errors import InputError, list_problems, plural
from goldfold.settings_text import to_value

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun

_LONGEST = 60
"""Characters of a value that are shown."""


def question_problems(run: OpenRun) -> list[str]:
    """Return one line for each open question: the setting, its present value, the question."""
    return [
        f"open question: {setting}{_present(run, setting)}: {text}"
        for setting, text in run.settings.questions.items()
    ]


def how_to_answer(run: OpenRun) -> str:
    """Return the commands that answer the first open question."""
    setting = next(iter(run.settings.questions))
    folder = shlex.quote(str(run.directory.root))
    return (
        f"Answer with `goldfold config answer {folder} {setting}=VALUE`, or without =VALUE if the "
        f"value is right. (In {run.directory.settings}: set the value and delete the question's "
        "line in [questions].)"
    )


def refuse_open_questions(run: OpenRun) -> None:
    """Raise InputError if goldfold.toml has open questions."""
    if run.settings.questions:
        problems = question_problems(run)
        title = (
            f"{run.directory.settings} has "
            f"{plural(len(problems), 'open question', 'open questions')}:"
        )
        raise InputError(list_problems(title, problems, how_to_answer(run)))


def _present(run: OpenRun, setting: str) -> str:
    """Return the present value of a setting in words, "" if it has none."""
    place: object = run.settings.model_dump(mode="json")
    for key in setting.split("."):
        if isinstance(place, dict) and key in place:
            place = place[key]
        elif isinstance(place, list) and key.isdecimal() and int(key) < len(place):
            place = place[int(key)]
        else:
            return ""
    if place is None or isinstance(place, dict):
        return ""
    value = to_value(place)
    return f" = {value}" if len(value) <= _LONGEST else ""
