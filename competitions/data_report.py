"""The report on the files of a competition: problems, notices and counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from goldfold.errors import InputError, first_few, list_problems, plural

_SHOWN = 20  # problems shown per common cause
_LISTED = 50  # problems shown without a common cause


@dataclass(frozen=True)
class CommonCause:
    """Many problems with a common cause."""

    question: str
    """What to check first; ends with a colon."""
    problems: list[str]
    """The problems it explains, which are also in `DataReport.problems`."""
    shown: list[str] | None = None
    """What to show of them, one text for each; None = all of it."""


@dataclass
class DataReport:
    """Problems stop the run; notices are about what a setting handles; facts are counts."""

    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)
    causes: list[CommonCause] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    """Image id -> why it cannot be read, in a few words."""

    def shown_problems(self) -> list[str]:
        """Return the problems to show: the first of each common cause, and all others.

        A common cause is one text of several lines; common causes come first.
        """
        explained = {problem for cause in self.causes for problem in cause.problems}
        return [
            *(
                list_problems(cause.question, cause.shown or cause.problems, limit=_SHOWN)
                for cause in self.causes
            ),
            *(problem for problem in self.problems if problem not in explained),
        ]

    def stop_on_problems(self, where: str) -> None:
        """Raise InputError with the problems, if there are any."""
        if self.problems:
            title = f"{where} has {plural(len(self.problems), 'problem', 'problems')}:"
            shown = [text.replace("\n", "\n  ") for text in self.shown_problems()]
            raise InputError(list_problems(title, shown, limit=_LISTED))


def count_ids(ids: Iterable[str], singular: str, plural_form: str, rest: str) -> list[str]:
    """Return one line that counts the ids and names the first few; no line without ids.

    Args:
        ids: the ids.
        singular: words after a count of 1, e.g. `image has`.
        plural_form: words after any other count, e.g. `images have`.
        rest: the rest of the statement about them.

    >>> count_ids(["a", "b"], "image has", "images have", "no label row")
    ['2 images have no label row: a, b']
    """
    listed = list(ids)
    if not listed:
        return []
    return [f"{plural(len(listed), singular, plural_form)} {rest}: {first_few(listed)}"]
