"""The table of a run's images: read from the data, and read anew when its inputs changed."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.competitions.images_table import read_images, write_images
from goldfold.competitions.input_files import describe_changes, input_files, inputs_of
from goldfold.files import fingerprint, write_json
from goldfold.rundirectory import RunDirectory, recorded
from goldfold.submissions.provenance import package_versions

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.competitions.image_collection import DataReport
    from goldfold.pipeline.open_run import OpenRun

LEFTOVER_SECONDS = 60.0


def ensure_images(run: OpenRun) -> pd.DataFrame:
    """Return images.csv, read anew from the data if its inputs changed.

    Raises:
        InputError: the data has problems; all are listed.
    """
    _remove_leftovers(run.directory)
    made_from = images_made_from(run)
    if images_are_current(run, made_from):
        write_run_facts(run, made_from)
        return read_images(run.directory.images)
    return _collect(run, made_from)[0]


def peek_images(run: OpenRun) -> tuple[pd.DataFrame, bool]:
    """Return what `ensure_images` would, writing nothing, and whether images.csv holds it.

    Raises:
        InputError: the data has problems; all are listed.
    """
    from tempfile import TemporaryDirectory

    from goldfold.competitions.image_collection import collect_images

    made_from = images_made_from(run, keep=False)
    if images_are_current(run, made_from):
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


def collect_anew(run: OpenRun) -> tuple[pd.DataFrame, DataReport]:
    """Return images and report, read from the data; images.csv is written if there is no problem.

    Raises:
        InputError: the data folder or its label table is missing.
    """
    return _collect(run, images_made_from(run), stop=False)


def images_made_from(run: OpenRun, keep: bool = True) -> dict[str, Any]:
    """Return what images.csv is made from; `keep` = hashes of files may be written to the run."""
    form = run.settings.competition
    files = input_files(
        form,
        memory=run.directory.file_hashes,
        keep=keep,
        workers=run.workers,
        progress=run.progress,
    )
    return {"inputs": fingerprint(inputs_of(form, files)), "files": files}


def _say_what_changed(run: OpenRun, made_from: dict[str, Any]) -> None:
    """Name the files that changed since images.csv was written."""
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


def images_are_current(run: OpenRun, made_from: dict[str, Any]) -> bool:
    """Return whether images.csv was made from exactly this."""
    return run.directory.stage("images").is_current(made_from) and run.directory.images.is_file()


def _collect(
    run: OpenRun, made_from: dict[str, Any], stop: bool = True
) -> tuple[pd.DataFrame, DataReport]:
    from goldfold.competitions.image_collection import collect_images

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


def write_run_facts(run: OpenRun, made_from: dict[str, Any]) -> None:
    """Write run.json if it changed: resolved settings, versions, fingerprint of the inputs."""
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
