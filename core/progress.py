"""How long work tells of itself: the stages call, the commands decide what it looks like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One counted piece of work."""

    def advance(self, steps: int = 1, **fields: object) -> None:
        """Count `steps` more as done; fields (loss=0.2) are shown beside the bar."""


class Progress(Protocol):
    """Where a stage reports to."""

    def task(self, description: str, total: int) -> AbstractContextManager[Task]:
        """Return a context in which `total` steps are counted."""

    def say(self, text: str) -> None:
        """Show one line of information."""

    def warn(self, text: str) -> None:
        """Show one line that the user should not miss."""


class _SilentTask:
    def advance(self, steps: int = 1, **fields: object) -> None:
        """Do nothing."""


class Silent:
    """A progress that shows nothing, not even warnings."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Yield a task that counts nothing."""
        yield _SilentTask()

    def say(self, text: str) -> None:
        """Do nothing."""

    def warn(self, text: str) -> None:
        """Do nothing."""


SILENT = Silent()
