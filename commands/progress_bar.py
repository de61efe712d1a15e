"""Progress as a bar that moves on a terminal, drawn by rich."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from goldfold.progress import SILENT, Task
from goldfold.progress_lines import Pace, duration, field_words

_BAR_WIDTHS = (8, 30)  # smallest and largest, in characters
_REFRESHES = 4  # a second


class TerminalProgress:
    """Bars on stderr: description, bar, count and remaining time; below them the fields."""

    def __init__(self, console: Console | None = None) -> None:
        # Where nobody can see a bar, one is only made because it was asked for.
        self.console = console or Console(stderr=True, highlight=False, force_terminal=True)

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Yield a task that moves a bar; none is shown if there is nothing to do."""
        if not total:
            with SILENT.task(description, total) as silent:
                yield silent
            return
        task = _BarTask(description, total, self.console)
        with Live(
            console=self.console,
            get_renderable=task.render,
            refresh_per_second=_REFRESHES,
            vertical_overflow="visible",
        ):
            yield task

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning above the bar."""
        self.console.print(
            f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )


class _BarTask:
    def __init__(self, description: str, total: int, console: Console) -> None:
        self.description, self.console = description, console
        self.pace, self.fields = Pace(total), dict[str, object]()

    def advance(self, steps: int = 1, **fields: object) -> None:
        """Count; the bar is drawn again by the clock."""
        self.pace.count(steps)
        self.fields = {**self.fields, **fields}

    def render(self) -> RenderableType:
        """Return the bar's line, and the fields in as many lines as they need."""
        width = self.console.width
        lines: list[RenderableType] = [self._first_line(width)]
        fields = wrap(field_words(self.fields), width - 2)
        lines += [Text(f"  {line}", style="cyan", no_wrap=True) for line in fields]
        return Group(*lines)

    def _first_line(self, width: int) -> Table:
        pace = self.pace
        count = f"{pace.done:,}/{pace.total:,}"
        ended = pace.done >= pace.total
        time = f"in {duration(pace.elapsed())}" if ended else pace.words()
        time = time or f"for {duration(pace.elapsed())}"
        narrowest, widest = _BAR_WIDTHS
        # A place for the usual time is kept, so that the bar does not jump when it is known.
        room = width - len(count) - max(len(time), len("about 12 min left")) - 4
        name = min(len(self.description), max(room - narrowest, narrowest))
        bar = ProgressBar(pace.total, pace.done, width=max(min(room - name, widest), 1))
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_column(width=name, no_wrap=True, overflow="ellipsis")
        for _ in range(3):
            line.add_column(no_wrap=True)
        line.add_row(Text(self.description), bar, Text(count, "green"), Text(time))
        return line


def wrap(parts: Sequence[str], width: int) -> list[str]:
    """Return the parts in lines of at most that width, two spaces apart, none broken.

    >>> wrap(["loss 0.5", "Dice 0.8", "epoch 3/12"], 20)
    ['loss 0.5  Dice 0.8', 'epoch 3/12']
    """
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += f"  {part}"
        else:
            lines.append(part)
    return lines
