"""What was found in a competition's files: problems, notices and counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from goldfold.errors import InputError, list_problems, plural

_NAMED = 5  # ids named in a line about many


@dataclass
class DataReport:
    """What was found: problems stop the run, notices were handled by a setting, facts count."""

    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)

    def stop_on_problems(self, where: str) -> None:
        """Raise InputError with all problems, if there are any."""
        if self.problems:
            title = f"{where} has {plural(len(self.problems), 'problem', 'problems')}:"
            raise InputError(list_problems(title, self.problems, limit=50))


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
