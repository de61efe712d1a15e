"""The folder of a synthetic competition: what was requested, the report, and drawing in threads."""

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


def request_facts(
    kind: str, version: int, train: int, test: int, size: int, seed: int, quirks: bool
) -> dict[str, Any]:
    """Return what was requested of a competition, as recorded in `FACTS_FILE`.

    Raises:
        InputError: an argument is out of range.
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


def known_report(
    folder: Path, request: dict[str, Any], progress: Progress
) -> dict[str, Any] | None:
    """Return the report if the folder already contains the competition, None if it is free.

    Args:
        folder: the output folder.
        request: what was requested.
        progress: gets a message if the competition exists.

    Returns:
        The fields of the report without `folder`; lists become tuples again.

    Raises:
        InputError: the folder contains something else.
    """
    report = _existing_report(folder, request)
    if report is None:
        return None
    progress.say(f"{folder} already contains this synthetic competition")
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in report.items()
    }


def write_report(folder: Path, request: dict[str, Any], report: DataclassInstance) -> None:
    """Write report and request of a competition to `FACTS_FILE`.

    Raises:
        OutputError: it cannot be written.
    """
    facts = {key: value for key, value in asdict(report).items() if key != "folder"}
    write_json(folder / FACTS_FILE, {"made_with": request, "report": facts})


def draw_all(
    draw: Callable[[Item], Drawn], items: Sequence[Item], workers: int | None, progress: Progress
) -> list[Drawn]:
    """Return the result of `draw` for each item, in order, whatever the number of threads.

    Args:
        draw: draws and writes an image; its randomness must depend on the item alone.
        items: plans of the images to draw.
        workers: number of threads; None = number of cores.
        progress: advances once per image.
    """
    drawn = []
    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    try:
        with progress.task("synthetic images", len(items)) as task:
            for result in pool.map(draw, items):
                drawn.append(result)
                task.advance()
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for thousands of images
    return drawn


def _existing_report(folder: Path, request: dict[str, Any]) -> dict[str, Any] | None:
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file, not a folder. Choose another name.")
        if not folder.exists() or not any(folder.iterdir()):
            return None
        facts = read_json(folder / FACTS_FILE) if (folder / FACTS_FILE).is_file() else {}
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror or error}.") from error
    if facts.get("made_with") == request:
        report: dict[str, Any] = facts["report"]
        return report
    content = "another synthetic competition" if facts else "other files"
    raise InputError(
        f"{folder} contains {content}; a synthetic competition needs a folder of its own. "
        "Choose another folder or remove this one."
    )


def told_quirks(*quirks: tuple[str, tuple[str, ...]]) -> list[str]:
    """Return how many images each quirk has, in words; nothing of quirks that no image has."""
    return [f"with {what}: {len(ids)}" for what, ids in quirks if ids]
