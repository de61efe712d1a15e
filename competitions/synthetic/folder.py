"""The folder of a synthetic competition: whole or not there, and never another's files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from goldfold.errors import InputError, OutputError
from goldfold.files import read_json

FACTS_FILE = "synthetic.json"


def existing_report(folder: Path, order: dict[str, Any]) -> dict[str, Any] | None:
    """Return the report of the same competition in the folder, None if the folder is free.

    Raises:
        InputError: the folder holds something else.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file, not a folder. Choose another name.")
        if not folder.exists() or not any(folder.iterdir()):
            return None
        facts = read_json(folder / FACTS_FILE) if (folder / FACTS_FILE).is_file() else {}
    except OSError as error:
        raise InputError(f"cannot look into {folder}: {error.strerror or error}.") from error
    if facts.get("made_with") == order:
        report: dict[str, Any] = facts["report"]
        return report
    content = "another synthetic competition" if facts else "other files"
    raise InputError(
        f"{folder} holds {content}; a synthetic competition needs a folder of its own. "
        "Choose another folder or remove this one."
    )


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder beside `folder` that takes its place when the block ends well.

    Raises:
        OutputError: it cannot be written.
    """
    partial = folder.absolute().with_name(f".{folder.absolute().name}.partial")
    try:
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        yield partial
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise OutputError(
            f"cannot write {folder}: {error.strerror or error}. "
            "Free some space or choose a folder you may write to."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
