"""Progress as plain lines, for notebooks and logs, and the words that lines and bars share."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from goldfold.progress import Silent

_LINE_SECONDS = 15.0  # between two plain lines of one piece of work
_SKIPPING_SECONDS = 0.5  # steps before this are what a resumed command finds done
_ORDER = (
    "epoch",
    "loss",
    "dice",
    "mean-iou-thresholds",
    "f2-iou-thresholds",
    "best",
    "non_empty",
    "lr",
    "images_per_s",
)
_NAMES = {
    "dice": "Dice",
    "lr": "learning rate",
    "mean-iou-thresholds": "mean IoU",
    "f2-iou-thresholds": "F2",
    "non_empty": "non-empty",
}


class LineProgress:
    """A progress for notebooks and logs: lines when work begins, every 15 seconds, and at its end.

    Example:
        run = gf.Run.open("runs/first", progress=gf.LineProgress())
    """

    def __init__(self, file: TextIO | None = None) -> None:
        """Print to `file`; to stderr unless given."""
        self._file = file

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[_LineTask]:
        """Yield a task that prints lines; none if there is nothing to do."""
        task = _LineTask(description, total, self._print)
        task.begin()
        yield task
        task.end()

    def say(self, text: str) -> None:
        """Print a line."""
        self._print(text)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self._print(f"warning: {text}")

    def _print(self, text: str) -> None:
        # sys.stderr is looked up now: notebooks and tests replace it.
        print(text, file=self._file or sys.stderr, flush=True)


class QuietProgress(Silent):
    """Nothing but warnings."""

    def warn(self, text: str) -> None:
        """Print a warning."""
        print(f"warning: {text}", file=sys.stderr, flush=True)


WARNINGS_ONLY = QuietProgress()


class _LineTask:
    def __init__(self, description: str, total: int, write: Callable[[str], None]) -> None:
        self.description, self.pace, self.write = description, Pace(total), write
        self.fields: dict[str, object] = {}
        self.printed = _now()

    def advance(self, steps: int = 1, **fields: object) -> None:
        """Count, and print if the last line is a while ago."""
        self.pace.count(steps)
        self.fields.update(fields)
        now = _now()
        if now - self.printed >= _LINE_SECONDS:
            self.printed = now
            left = self.pace.words()
            self._line(f", {left}" if left else "")

    def begin(self) -> None:
        """Print the first line, if there is anything to do."""
        if self.pace.total:
            self._line("")

    def end(self) -> None:
        """Print the last line, if there was anything to do."""
        if self.pace.total:
            self._line(f" in {duration(self.pace.elapsed())}")

    def _line(self, tail: str) -> None:
        count = f"{self.description}: {self.pace.done:,}/{self.pace.total:,}{tail}"
        self.write("  ".join([count, *field_words(self.fields)]))


def _now() -> float:
    return time.monotonic()


@dataclass
class Pace:
    """How much of a piece of work is done, and how long the rest will take."""

    total: int
    done: int = 0
    began: float = field(default_factory=_now)
    latest: float = 0.0
    """When the last step was counted."""
    skipped: int = 0
    """Steps that took no time."""
    skipped_at: float = 0.0

    def count(self, steps: int) -> None:
        """Count steps as done now."""
        self.done += steps
        self.latest = _now()
        if self.latest - self.began < _SKIPPING_SECONDS:
            self.skipped, self.skipped_at = self.done, self.latest

    def elapsed(self) -> float:
        """Return the seconds since the work began."""
        return _now() - self.began

    def left(self) -> float | None:
        """Return the seconds that the rest will take at the mean pace, None if not known yet."""
        steps = self.done - self.skipped
        if steps <= 0:
            return None
        seconds = self.latest - (self.skipped_at or self.began)
        since = _now() - self.latest
        return max(seconds / steps * (self.total - self.done) - since, 0.0)

    def words(self) -> str:
        """Return how long the rest will take, "" if that is not known yet."""
        left = self.left()
        if left is None:
            return ""
        if round(left) < 60:
            return f"about {max(round(left), 1)} s left"
        return f"about {duration(60 * round(left / 60))} left"


def duration(seconds: float) -> str:
    """Return a duration in words, as exact as one cares to know.

    >>> [duration(seconds) for seconds in (0.34, 42, 61, 754, 7500, 200_000)]
    ['0.3 s', '42 s', '1 min 1 s', '13 min', '2 h 5 min', '56 h']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{round(seconds)} s"
    if round(seconds) < 600:
        return _two(round(seconds), 60, "min", "s")
    if round(seconds / 60) < 60:
        return f"{round(seconds / 60)} min"
    if round(seconds / 60) < 24 * 60:
        return _two(round(seconds / 60), 60, "h", "min")
    return f"{round(seconds / 3600)} h"


def _two(value: int, base: int, large: str, small: str) -> str:
    rest = f" {value % base} {small}" if value % base else ""
    return f"{value // base} {large}{rest}"


def field_words(fields: Mapping[str, object]) -> list[str]:
    """Return a text for each field, in an order that does not change while the work continues.

    >>> field_words({"loss": 0.25, "lr": 1e-3, "images_per_s": 12.34, "non_empty": 0.234})
    ['loss 0.2500', 'non-empty 23.4%', 'learning rate 1.0e-03', '12.3 images/s']
    """
    rank = {name: place for place, name in enumerate(_ORDER)}
    names = sorted(fields, key=lambda name: rank.get(name, len(rank)))
    return [_field(name, fields[name]) for name in names]


def _field(name: str, value: object) -> str:
    shown = _NAMES.get(name, name)
    if not isinstance(value, float):
        return f"{shown} {value}"
    if name == "images_per_s":
        return f"{value:.1f} images/s"
    if name == "non_empty":
        return f"{shown} {value:.1%}"
    return f"{shown} {value:.1e}" if name == "lr" else f"{shown} {value:.4f}"
