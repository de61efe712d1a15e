"""What was found in a competition's files: problems, notices and counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from goldfold.errors import InputError, list_problems, plural

_NAMED = 5  # ids named in a line about many
_SHOWN = 20  # problems shown of many with one cause
_LISTED = 50  # problems shown that have no common cause


@dataclass(frozen=True)
class CommonCause:
    """Many problems that one mistake explains."""

    question: str
    """What to look at first; ends with a colon."""
    problems: list[str]
    """What it explains, each also in `DataReport.problems`."""


@dataclass
class DataReport:
    """What was found: problems stop the run, notices were handled by a setting, facts count."""

    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)
    causes: list[CommonCause] = field(default_factory=list)

    def shown_problems(self) -> list[str]:
        """Return what to show of the problems: the first of a common cause, all others.

        A common cause is one text of several lines, before all other problems.
        """
        explained = {problem for cause in self.causes for problem in cause.problems}
        return [
            *(list_problems(cause.question, cause.problems, limit=_SHOWN) for cause in self.causes),
            *(problem for problem in self.problems if problem not in explained),
        ]

    def stop_on_problems(self, where: str) -> None:
        """Raise InputError with the problems, if there are any."""
        if self.problems:
            title = f"{where} has {plural(len(self.problems), 'problem', 'problems')}:"
            shown = [text.replace("\n", "\n  ") for text in self.shown_problems()]
            raise InputError(list_problems(title, shown, limit=_LISTED))


def count_ids(ids: Iterable[str], one: str, many: str, rest: str) -> list[str]:
    """Return no line for no ids, or one that counts them and names the first few.

    Args:
        ids: what the line is about.
        one: words behind the count 1, e.g. `image has`.
        many: words behind any other count, e.g. `images have`.
        rest: what is the matter with them.

    >>> count_ids(["a", "b"], "image has", "images have", "no label row")
    ['2 images have no label row: a, b']
    """
    listed = list(ids)
    if not listed:
        return []
    shown = ", ".join(listed[:_NAMED]) + (", ..." if len(listed) > _NAMED else "")
    return [f"{plural(len(listed), one, many)} {rest}: {shown}"]
