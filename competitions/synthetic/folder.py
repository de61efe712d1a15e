"""The folder of a synthetic competition: whole or not there, and never another's files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from goldfold.errors import InputError
from goldfold.files import read_json, write_json
from goldfold.progress import Progress

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Item = TypeVar("Item")
Drawn = TypeVar("Drawn")

FACTS_FILE = "synthetic.json"


def twin_order(
    kind: str, version: int, train: int, test: int, size: int, seed: int, quirks: bool
) -> dict[str, Any]:
    """Return what a competition is made with, as `FACTS_FILE` keeps it.

    Raises:
        InputError: an argument is out of its range.
    """
    if not (4 <= train <= 10**6 and 4 <= test <= 10**6 and 64 <= size <= 4096 and seed >= 0):
        raise InputError(
            "expected at least 4 training and test images of 64 to 4,096 pixels and a seed of 0 or "
            f"more, found {train}, {test}, {size} and {seed}."
        )
    return {
        "kind": kind, "train": train, "test": test, "size": size, "seed": seed, "quirks": quirks,
        "version": version,
    }  # fmt: skip


def known_report(folder: Path, order: dict[str, Any], progress: Progress) -> dict[str, Any] | None:
    """Return the report of the same competition in the folder, and say so; None if it is free.

    Args:
        folder: where the competition is to be.
        order: what it is made with.
        progress: told that nothing is to be done.

    Returns:
        The fields of the report but its folder; lists are tuples again.

    Raises:
        InputError: the folder holds something else.
    """
    report = _existing_report(folder, order)
    if report is None:
        return None
    progress.say(f"{folder} holds this synthetic competition already")
    return {key: tuple(one) if isinstance(one, list) else one for key, one in report.items()}


def write_report(folder: Path, order: dict[str, Any], report: DataclassInstance) -> None:
    """Write what a competition holds, and what it is made with, as `FACTS_FILE`.

    Raises:
        OutputError: it cannot be written.
    """
    facts = {key: one for key, one in asdict(report).items() if key != "folder"}
    write_json(folder / FACTS_FILE, {"made_with": order, "report": facts})


def draw_all(
    draw: Callable[[Item], Drawn], items: Sequence[Item], workers: int | None, progress: Progress
) -> list[Drawn]:
    """Return what `draw` gives for each item, in their order, whatever the number of threads.

    Args:
        draw: writes an image; what is random in it must come from the item alone.
        items: images to be drawn.
        workers: threads; None = the number of processor cores.
        progress: told of each image.
    """
    drawn = []
    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    try:
        with progress.task("synthetic images", len(items)) as task:
            for one in pool.map(draw, items):
                drawn.append(one)
                task.advance()
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for thousands of images
    return drawn


def _existing_report(folder: Path, order: dict[str, Any]) -> dict[str, Any] | None:
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
