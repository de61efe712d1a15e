"""An open run: its directory, settings and progress, and the data that every stage starts from."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.commands.show import terminal_progress
from goldfold.progress import Progress
from goldfold.rundirectory import RunDirectory
from goldfold.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.competitions.collect import DataReport

MOST_WORKERS = 8
LEFTOVER_SECONDS = 60.0


@dataclass(frozen=True)
class Run:
    """A run directory with its settings."""

    directory: RunDirectory
    settings: Settings
    progress: Progress

    @property
    def workers(self) -> int:
        """Threads or processes for decoding and loading."""
        if self.settings.workers is not None:
            return self.settings.workers
        return min(_cores(), MOST_WORKERS)

    def command(self, words: str) -> str:
        """Return a command on this run, for messages; it can be pasted into a shell."""
        return f"goldfold {words} {shlex.quote(str(self.directory.root))}"


def open_run(folder: Path, assignments: Sequence[str] | None = None) -> Run:
    """Return the run of a directory, with its data folder as an absolute path.

    What a stage was made from thus does not depend on where the command was typed.

    Raises:
        SettingsError: goldfold.toml is missing or wrong.
    """
    from goldfold.competitions.preset import load_settings

    directory = RunDirectory(folder)
    settings = load_settings(directory.settings, assignments or [])
    data = settings.competition.data.resolve()
    competition = settings.competition.model_copy(update={"data": data})
    settings = settings.model_copy(update={"competition": competition})
    return Run(directory, settings, terminal_progress())


def ensure_images(run: Run) -> pd.DataFrame:
    """Return images.csv, read anew from the data if its inputs changed.

    Raises:
        InputError: the data has problems; all are listed.
    """
    from goldfold.competitions.collect import inputs_of
    from goldfold.competitions.images_table import read_images
    from goldfold.files import fingerprint

    _remove_leftovers(run.directory)
    made_from = {"inputs": fingerprint(inputs_of(run.settings.competition))}
    if run.directory.stage("images").is_current(made_from) and run.directory.images.is_file():
        write_run_facts(run, made_from)
        return read_images(run.directory.images)
    return _collect(run, made_from)[0]


def collect_anew(run: Run) -> tuple[pd.DataFrame, DataReport]:
    """Return images and report, read from the data; images.csv is written if there is no problem.

    Raises:
        InputError: the data folder or its label table is missing.
    """
    from goldfold.competitions.collect import inputs_of
    from goldfold.files import fingerprint

    made_from = {"inputs": fingerprint(inputs_of(run.settings.competition))}
    return _collect(run, made_from, stop=False)


def _collect(
    run: Run, made_from: dict[str, Any], stop: bool = True
) -> tuple[pd.DataFrame, DataReport]:
    from goldfold.competitions.collect import collect_images
    from goldfold.competitions.images_table import read_images, write_images

    images, report = collect_images(
        run.settings.competition, workers=run.workers, progress=run.progress
    )
    if stop:
        for notice in report.notices:
            run.progress.warn(notice)
        report.stop_on_problems(str(run.settings.competition.data))
    if not report.problems:
        record = run.directory.stage("images")
        record.forget()
        write_images(run.directory.images, images)
        write_run_facts(run, made_from)
        record.write(made_from)
        images = read_images(run.directory.images)
    return images, report


def write_run_facts(run: Run, made_from: dict[str, Any]) -> None:
    """Write run.json if it changed: resolved settings, versions, fingerprint of the inputs."""
    from goldfold.files import write_json
    from goldfold.submissions.provenance import package_versions

    facts = {
        "settings": run.settings.model_dump(mode="json"),
        "versions": package_versions(),
        "inputs": made_from["inputs"],
    }
    if recorded(run.directory.facts) != facts:
        write_json(run.directory.facts, facts)


def _remove_leftovers(directory: RunDirectory) -> None:
    """Remove the temporary files of killed commands: no table takes a minute to write."""
    for folder in (directory.root, directory.root / "stages"):
        for temporary in folder.glob(".*.tmp"):
            with suppress(OSError):  # another process was faster, or owns it
                if time.time() - temporary.stat().st_mtime > LEFTOVER_SECONDS:
                    temporary.unlink()


def recorded(path: Path, *keys: str) -> Any:
    """Return a value of a JSON file by its keys, None if file or value is missing or damaged."""
    from goldfold.errors import InputError
    from goldfold.files import read_json

    try:
        value = read_json(path)
    except InputError:
        return None
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _cores() -> int:
    """Return the cores this process may use, which a container can limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
