"""The errors that goldfold raises on purpose.

    GoldfoldError            exit code 1: something failed (a full disk, a broken run)
    ├── InputError           exit code 2: wrong use or bad input; the user can mend it
    │   ├── SettingsError        ... in goldfold.toml or --set
    │   ├── ImageError           ... in an image file
    │   ├── RunLengthError       ... in a run-length encoding
    │   └── LeakInputError       ... in folds or predictions; a LeakError, too
    ├── LeakError            exit code 1: a model was about to be judged on what it saw
    ├── OutputError          exit code 1: a file cannot be written
    ├── NotFiniteError       exit code 1: weights or logits are NaN or infinite
    └── Stopped              exit code 143 (SIGTERM), 130 (SIGINT) or 75 (--stop-after): saved

A message says what was expected, what was found (file, row, id, how many in all) and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


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


class LeakError(GoldfoldError):
    """A model, weight or threshold was about to be judged on images that it was made from."""


class LeakInputError(LeakError, InputError):
    """The same, because of the user's files: folds that split a group, predictions of others."""


class OutputError(GoldfoldError):
    """A file cannot be written (full disk, no permission)."""


class NotFiniteError(GoldfoldError):
    """Weights or logits are NaN or infinite; the message names the tensors or the images."""


class Stopped(GoldfoldError):  # noqa: N818 - it tells of an event, and is caught as one
    """A training was asked to stop, and saved what it needs to resume."""

    def __init__(self, message: str, exit_code: int) -> None:
        """Take the message and what the command line ends with."""
        super().__init__(message)
        self.exit_code = exit_code


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question naming the most similar known name, or "" where none is similar.

    It begins with a space, to stand behind a sentence; upper and lower case do not matter.

    >>> did_you_mean("unett", ["Unet", "FPN"])
    " Did you mean 'Unet'?"
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = get_close_matches(name.lower(), by_lower, n=1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


def plural(count: int, one: str, many: str) -> str:
    """Return the count with the word or words that fit it.

    >>> plural(1, "image has", "images have"), plural(1200, "image has", "images have")
    ('1 image has', '1,200 images have')
    """
    return f"{count:,} {one if count == 1 else many}"


def first_few(names: Sequence[str], limit: int = 5) -> str:
    """Return up to `limit` names, and how many more there are.

    >>> first_few(["a.png", "b.png", "c.png"], limit=2)
    'a.png, b.png and 1 more'
    """
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


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
        lines.append(f"  ... and {len(problems) - limit:,} more")
    if remedy:
        lines.append(remedy)
    return "\n".join(lines)
