"""The files from which images.csv is built, with hashes of their content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goldfold.competitions.data_folder import find_images, find_table, path_in, require_folder
from goldfold.competitions.mask_paths import mask_globs
from goldfold.errors import first_few
from goldfold.file_hashes import hash_files
from goldfold.progress import SILENT, Progress
from goldfold.settings import CompetitionSettings

IMAGES_FORM = 2
"""Raise it when the same files give a different images.csv, so that old runs build it again."""

Files = Mapping[str, Mapping[str, str]]
"""Kind of file -> path in the data folder -> hash."""


def input_files(
    settings: CompetitionSettings,
    *,
    memory: Path | None = None,
    keep: bool = True,
    workers: int = 1,
    progress: Progress = SILENT,
) -> dict[str, dict[str, str]]:
    """Return the hash of every image, mask file and table: kind -> path in the data folder -> hash.

    The location of the data folder does not matter, so it may be moved.

    Args:
        settings: settings of the competition.
        memory: file with the hashes of earlier calls, see `hash_files`.
        keep: write that file if it changed.
        workers: number of hashing threads.
        progress: advances with the files if there is much to hash.

    Raises:
        InputError: the data folder is missing.
    """
    data = require_folder(settings.data)
    patterns = [*settings.labels.masks, *settings.labels.class_masks.values()]
    masks = mask_globs(patterns, settings.images.id_pattern)
    tables = [
        find_table(data, settings.labels.files),
        find_table(data, settings.submission.sample),
        *(find_table(data, [extra.file]) for extra in settings.tables),
    ]
    paths = {
        "images": find_images(data, [*settings.images.train, *settings.images.test]),
        "mask files": find_images(data, masks),
        "tables": [table for table in tables if table is not None],
    }
    everything = list(dict.fromkeys(path for kind in paths.values() for path in kind))
    hashes = hash_files(
        everything, root=data, memory=memory, keep=keep, workers=workers, progress=progress
    )
    known = dict(zip(everything, hashes, strict=True))
    return {
        kind: {path_in(data, path): known[path] for path in of_kind}
        for kind, of_kind in paths.items()
    }


def inputs_of(settings: CompetitionSettings, files: Files) -> dict[str, Any]:
    """Return everything that determines images.csv: settings and the content of files.

    Args:
        settings: settings of the competition.
        files: the result of `input_files`.
    """
    return {
        "form": IMAGES_FORM,
        "competition": settings.model_dump(mode="json", exclude={"data", "title"}),
        **files,
    }


def describe_changes(old: Files, new: Files) -> list[str]:
    """Return a line for each kind of file and each kind of change since images.csv was written.

    >>> describe_changes({"images": {"a.png": "1"}}, {"images": {"a.png": "2"}})
    ['images changed since images.csv was written: a.png']
    """
    lines = []
    for kind, files in new.items():
        before = old.get(kind, {})
        changed = [name for name in files if name in before and files[name] != before[name]]
        added = [name for name in files if name not in before]
        removed = [name for name in before if name not in files]
        for word, names in (("changed", changed), ("added", added), ("removed", removed)):
            if names:
                lines.append(f"{kind} {word} since images.csv was written: {first_few(names)}")
    return lines
