"""Open a run for a command: its progress is shown on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.commands.show import terminal_progress

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun


def open_run(
    folder: Path, assignments: Sequence[str] | None = None, devices: str | None = None
) -> OpenRun:
    """Return the run of a directory, whose progress is shown on the terminal.

    Raises:
        SettingsError: goldfold.toml is missing or wrong.
        InputError: `devices` names none.
    """
    from goldfold.pipeline.open_run import OpenRun

    return OpenRun.open(folder, assignments, terminal_progress(), devices)
