"""What the user sees: results on stdout, progress and warnings on stderr."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar
    from rich.progress import TaskID

_LINE_SECONDS = 15.0  # between two plain lines of one piece of work


def out(text: str = "") -> None:
    """Print a result."""
    print(text)


def out_json(value: Any) -> None:
    """Print a result for machines: JSON, a number that is none (NaN) as null."""
    print(json.dumps(_plain(value), indent=2, sort_keys=True, default=str, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    value = value.item() if hasattr(value, "item") else value  # a number of NumPy
    return None if isinstance(value, float) and not math.isfinite(value) else value


def error(text: str) -> None:
    """Print an error."""
    print(f"error: {text}", file=sys.stderr)


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a plain table, numbers to the right, columns two spaces apart.

    >>> print(table(["fold", "Dice"], [[0, "0.812"], [1, "0.799"]]))
    fold   Dice
       0  0.812
       1  0.799
    """
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [
        max(len(header), *(len(row[column]) for row in cells)) if cells else len(header)
        for column, header in enumerate(headers)
    ]
    numeric = [all(_is_number(row[column]) for row in cells) for column in range(len(headers))]

    def line(texts: Sequence[str]) -> str:
        padded = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(texts, widths, numeric, strict=True)
        ]
        return "  ".join(padded).rstrip()

    return "\n".join([line(list(headers)), *(line(row) for row in cells)])


def _is_number(text: str) -> bool:
    stripped = text.replace(",", "").replace("%", "").lstrip("+-")
    return stripped in ("", "n/a") or stripped.replace(".", "", 1).isdigit()


def terminal_progress() -> TerminalProgress | LineProgress:
    """Return a bar on a terminal and plain lines elsewhere."""
    return TerminalProgress() if sys.stderr.isatty() else LineProgress()


class LineProgress:
    """One line when work begins, every 15 seconds, and when it ends."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[_LineTask]:
        """Yield a task that prints lines."""
        task = _LineTask(description, total)
        yield task
        task.end()

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Print a warning."""
        print(f"warning: {text}", file=sys.stderr, flush=True)


class _LineTask:
    def __init__(self, description: str, total: int) -> None:
        self.description, self.total, self.done = description, total, 0
        self.fields: dict[str, object] = {}
        self.began = self.printed = time.monotonic()

    def advance(self, steps: int = 1, **fields: object) -> None:
        """Count, and print if the last line is a while ago."""
        self.done += steps
        self.fields.update(fields)
        now = time.monotonic()
        if now - self.printed >= _LINE_SECONDS:
            self.printed = now
            self._line()

    def end(self) -> None:
        """Print the last line, if there was anything to do."""
        if self.total:
            self._line(f" in {time.monotonic() - self.began:.1f} s")

    def _line(self, tail: str = "") -> None:
        shown = _fields(self.fields)
        line = f"{self.description}: {self.done:,}/{self.total:,}{tail}"
        print(f"{line}  {shown}".rstrip(), file=sys.stderr, flush=True)


def _fields(fields: dict[str, object]) -> str:
    return "  ".join(f"{_FIELD_NAMES.get(k, k)} {_short(k, v)}" for k, v in fields.items())


_FIELD_NAMES = {
    "lr": "learning rate",
    "non_empty": "non-empty",
    "images_per_s": "images/s",
}


def _short(name: str, value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if name == "lr":
        return f"{value:.1e}"
    return f"{value:.1f}" if name.endswith("_s") else f"{value:.4f}"


class TerminalProgress:
    """Rich bars on stderr."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False)

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[_BarTask]:
        """Yield a task that moves a bar."""
        from rich import progress

        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=24),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[shown]}"),
        )
        with progress.Progress(*columns, console=self.console) as bar:
            yield _BarTask(bar, bar.add_task(description, total=total, shown=""))

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.console.print(f"warning: {text}", style="yellow", markup=False)


class _BarTask:
    def __init__(self, bar: RichBar, task: TaskID) -> None:
        self.bar, self.id, self.fields = bar, task, dict[str, object]()

    def advance(self, steps: int = 1, **fields: object) -> None:
        """Move the bar."""
        self.fields.update(fields)
        self.bar.update(self.id, advance=steps, shown=_fields(self.fields))
