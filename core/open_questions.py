"""Answers the open questions of goldfold.toml, which are what the data cannot decide."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from goldfold.errors import SettingsError, did_you_mean
from goldfold.settings_edit import edit_toml
from goldfold.settings_file import override

TWINS = {
    "competition.labels.dialect": "competition.submission.dialect",
    "competition.labels.size": "competition.submission.size",
}
"""Setting -> another one that has the same value unless it is said otherwise."""


def with_twins(assignments: Sequence[str]) -> list[str]:
    """Return the assignments, and those that follow from them because settings are twins.

    >>> with_twins(["competition.labels.dialect=kaggle"])
    ['competition.labels.dialect=kaggle', 'competition.submission.dialect=kaggle']
    """
    given = {assignment.partition("=")[0].strip() for assignment in assignments}
    twins = [
        f"{TWINS[setting]}={value}" if equals else TWINS[setting]
        for setting, equals, value in (
            (key.strip(), equals, value)
            for key, equals, value in (text.partition("=") for text in assignments)
        )
        if setting in TWINS and TWINS[setting] not in given
    ]
    return [*assignments, *twins]


def unanswered(questions: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Return the questions that no assignment `setting=value` answers.

    An assignment to a table answers the questions about all settings in it.

    >>> unanswered({"folds.group": "Patients?", "folds.seed": "Which?"}, ["folds.group=none"])
    {'folds.seed': 'Which?'}
    """
    given = [assignment.partition("=")[0].strip() for assignment in assignments]
    return {
        setting: text
        for setting, text in questions.items()
        if not any(f"{setting}.".startswith(f"{key}.") for key in given)
    }


def _of_twins(
    content: Mapping[str, Any], questions: Mapping[str, Any], answers: Sequence[str]
) -> list[str]:
    """Return the answers that follow for twins: asked about, or of the same value until now."""
    firsts = {second: first for first, second in TWINS.items()}
    linked = []
    for entry in with_twins(answers)[len(answers) :]:
        twin, equals, _ = entry.partition("=")
        first, value = firsts[twin], _value(content, twin)
        follows = first in questions and value is not None and value == _value(content, first)
        if twin in questions or (equals and follows):
            linked.append(entry)
    return linked


def _value(content: Mapping[str, Any], setting: str) -> Any:
    """Return the value of a dotted setting, None if there is none."""
    place: Any = content
    for key in setting.split("."):
        place = place.get(key) if isinstance(place, Mapping) else None
    return place


def not_asked(problems: Sequence[str], questions: Mapping[str, Any]) -> list[str]:
    """Return the problems without those whose remedy is to set what a question asks about.

    >>> not_asked(["cells are empty: set blank = ...", "b"], {"competition.labels.blank": "?"})
    ['b']
    """
    names = [setting.rpartition(".")[2] for setting in questions]
    return [text for text in problems if not any(f"{name} = " in text for name in names)]


def answer(text: str, answers: Sequence[str], source: str) -> tuple[str, list[str]]:
    """Return the text of goldfold.toml with answers in it, and the settings that were answered.

    Args:
        text: valid TOML.
        answers: `setting=value`, or `setting` alone if the value there is right.
        source: what messages call the text.

    Raises:
        SettingsError: `setting` alone is no open question, or an assignment is malformed.
    """
    content = tomllib.loads(text)
    questions = content.pop("questions", {})
    answers = [*answers, *_of_twins(content, questions, answers)]
    confirmed = [entry.strip() for entry in answers if "=" not in entry]
    for setting in confirmed:
        if setting not in questions:
            known = ", ".join(questions) or "none"
            raise SettingsError(
                f"{source} has no open question about {setting!r}; open: {known}."
                f"{did_you_mean(setting, questions)} To change a setting: {setting}=VALUE."
            )
    assignments = [entry for entry in answers if "=" in entry]
    content = override(content, assignments)
    left = unanswered(questions, [*assignments, *confirmed])
    if left:
        content["questions"] = left
    return edit_toml(text, content), [setting for setting in questions if setting not in left]
