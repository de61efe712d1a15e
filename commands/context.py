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

    from goldfold.competitions.image_collection import DataReport

MOST_WORKERS = 8
LEFTOVER_SECONDS = 60.0


@dataclass(frozen=True)
class Run:
    """A run directory with its settings."""

    directory: RunDirectory
    settings: Settings
    progress: Progress
    assignments: tuple[str, ...] = ()
    """What --set changed, to be said again in the commands that messages offer."""

    @property
    def workers(self) -> int:
        """Threads for decoding and loading."""
        if self.settings.workers is not None:
            return self.settings.workers
        return min(cores(), MOST_WORKERS)

    def command(self, words: str) -> str:
        """Return a command on this run, for messages; it can be pasted into a shell."""
        changed = [word for one in self.assignments for word in ("--set", one)]
        return f"goldfold {words} {shlex.join([str(self.directory.root), *changed])}"


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
    return Run(directory, settings, terminal_progress(), tuple(assignments or ()))


def ensure_images(run: Run) -> pd.DataFrame:
    """Return images.csv, read anew from the data if its inputs changed.

    Raises:
        InputError: the data has problems; all are listed.
    """
    from goldfold.competitions.images_table import read_images

    _remove_leftovers(run.directory)
    made_from = _images_made_from(run)
    if _images_are_current(run, made_from):
        write_run_facts(run, made_from)
        return read_images(run.directory.images)
    return _collect(run, made_from)[0]


def peek_images(run: Run) -> tuple[pd.DataFrame, bool]:
    """Return what `ensure_images` would, writing nothing, and whether images.csv holds it.

    Raises:
        InputError: the data has problems; all are listed.
    """
    from tempfile import TemporaryDirectory

    from goldfold.competitions.image_collection import collect_images
    from goldfold.competitions.images_table import read_images, write_images

    made_from = _images_made_from(run, keep=False)
    if _images_are_current(run, made_from):
        return read_images(run.directory.images), True
    _say_what_changed(run, made_from)
    images, report = collect_images(
        run.settings.competition,
        hashes=made_from["files"]["images"],
        workers=run.workers,
        progress=run.progress,
    )
    report.stop_on_problems(str(run.settings.competition.data))
    with TemporaryDirectory() as folder:  # a table that was read has other types than a new one
        path = Path(folder) / "images.csv"
        write_images(path, images)
        return read_images(path), False


def collect_anew(run: Run) -> tuple[pd.DataFrame, DataReport]:
    """Return images and report, read from the data; images.csv is written if there is no problem.

    Raises:
        InputError: the data folder or its label table is missing.
    """
    return _collect(run, _images_made_from(run), stop=False)


def _images_made_from(run: Run, keep: bool = True) -> dict[str, Any]:
    """Return what images.csv is made from; `keep` = hashes of files may be written to the run."""
    from goldfold.competitions.input_files import input_files, inputs_of
    from goldfold.files import fingerprint

    form = run.settings.competition
    files = input_files(
        form,
        memory=run.directory.file_hashes,
        keep=keep,
        workers=run.workers,
        progress=run.progress,
    )
    return {"inputs": fingerprint(inputs_of(form, files)), "files": files}


def _say_what_changed(run: Run, made_from: dict[str, Any]) -> None:
    """Name the files that changed since images.csv was written."""
    from goldfold.competitions.input_files import describe_changes

    record = run.directory.stage("images")
    before = recorded(record.path, "made_from", "files")
    if isinstance(before, dict):
        for line in describe_changes(before, made_from["files"]):
            run.progress.say(line)
    elif recorded(record.path, "fingerprint") is not None:
        run.progress.say(
            "images.csv is made again: an earlier version of goldfold wrote it, without hashes of "
            "the files' content"
        )


def _images_are_current(run: Run, made_from: dict[str, Any]) -> bool:
    return run.directory.stage("images").is_current(made_from) and run.directory.images.is_file()


def _collect(
    run: Run, made_from: dict[str, Any], stop: bool = True
) -> tuple[pd.DataFrame, DataReport]:
    from goldfold.competitions.image_collection import collect_images
    from goldfold.competitions.images_table import read_images, write_images

    _say_what_changed(run, made_from)
    images, report = collect_images(
        run.settings.competition,
        hashes=made_from["files"]["images"],
        workers=run.workers,
        progress=run.progress,
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


def cores() -> int:
    """Return the cores this process may use, which a container can limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
