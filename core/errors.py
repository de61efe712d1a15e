"""The errors that goldfold raises on purpose.

    GoldfoldError            exit code 1: something failed (a full disk, a broken run)
    ├── InputError           exit code 2: wrong use or bad input; the user can mend it
    │   ├── SettingsError        ... in goldfold.toml or --set
    │   ├── ImageError           ... in an image file
    │   └── RunLengthError       ... in a run-length encoding
    └── OutputError          exit code 1: a file cannot be written

A message says what was expected, what was found (file, row, id, how many in all) and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class GoldfoldError(Exception):
    """Something failed; `exit_code` is what the command line ends with."""

    exit_code = 1


class InputError(GoldfoldError):
    """The user's input is wrong; the message says which and how to mend it."""

    exit_code = 2


class SettingsError(InputError):
    """A setting is unknown, missing or out of its range."""


class ImageError(InputError):
    """An image file cannot be read as an image."""


class RunLengthError(InputError):
    """A run-length encoding is malformed."""


class OutputError(GoldfoldError):
    """A file cannot be written (full disk, no permission)."""


def list_problems(title: str, problems: Sequence[str], remedy: str = "", limit: int = 20) -> str:
    """Return one message that shows up to `limit` problems, counts all, and ends with the remedy.

    >>> print(list_problems("2 bad rows in a.csv:", ["row 2: x", "row 3: y"], "Mend them."))
    2 bad rows in a.csv:
      row 2: x
      row 3: y
    Mend them.
    """
    lines = [title, *(f"  {problem}" for problem in problems[:limit])]
    if len(problems) > limit:
        lines.append(f"  ... and {len(problems) - limit} more")
    if remedy:
        lines.append(remedy)
    return "\n".join(lines)
