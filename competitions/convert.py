"""Images as PNG files, for people and programs that want files."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from goldfold.competitions.image import read_levels
from goldfold.competitions.window import Window
from goldfold.errors import ImageError, InputError, list_problems
from goldfold.files import write_bytes
from goldfold.progress import SILENT, Progress

SUFFIXES = frozenset({"", ".dcm", ".dicom", ".ima", ".png", ".jpg", ".jpeg"})
"""Endings, in small letters, of the files in a folder that are taken for images."""


@dataclass
class Converted:
    """What was written, what was there already, and what could not be read."""

    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def plan_conversion(sources: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Return image -> PNG to be written; folders are searched, and their inner folders kept.

    Raises:
        InputError: a source does not exist, there are no images, or two would become one file.
    """
    missing = [str(path) for path in sources if not path.exists()]
    if missing:
        raise InputError(list_problems("these do not exist:", missing))
    plan: dict[Path, Path] = {}
    for source in sources:
        for path in _images(source):
            inner = path.relative_to(source).parent if source.is_dir() else Path()
            plan[path] = folder / inner / f"{path.stem if path.suffix else path.name}.png"
    if not plan:
        raise InputError(f"no images in {', '.join(map(str, sources))}.")
    by_target: dict[Path, list[str]] = {}
    for path, target in plan.items():
        by_target.setdefault(target, []).append(str(path))
    double = [
        f"{target}: {' and '.join(paths)}" for target, paths in by_target.items() if len(paths) > 1
    ]
    if double:
        title = f"{len(double)} PNG files would be made from several images:"
        raise InputError(list_problems(title, double, "Convert their folders one by one."))
    return plan


def _images(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    return sorted(
        path
        for path in source.rglob("*")
        if path.is_file() and path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def convert_images(
    plan: dict[Path, Path],
    *,
    bits: Literal[8, 16] = 8,
    windows: Sequence[Window] = (),
    overwrite: bool = False,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Converted:
    """Return what became of each image of a plan; a file that is there already is left alone.

    Args:
        plan: image -> PNG, as `plan_conversion` gives it.
        bits: of a gray PNG; colour has 8.
        windows: one to three to see gray DICOM through; three become red, green and blue.
        overwrite: write files that are there again.
        workers: threads; the decoders work outside Python's lock.
        progress: where a step is counted for each image.

    Raises:
        OutputError: a file cannot be written.
    """
    found = Converted()

    def convert(pair: tuple[Path, Path]) -> str | None:
        source, target = pair
        if target.exists() and not overwrite:
            return ""
        try:
            levels = read_levels(source, windows=windows, bits=bits)
        except ImageError as error:
            return str(error)
        if levels.ndim == 3 and levels.shape[2] == 2:  # PNG has gray or three colours
            levels = np.dstack([levels, np.zeros_like(levels[..., 0])])
        blue_first = levels if levels.ndim == 2 else np.ascontiguousarray(levels[..., ::-1])
        write_bytes(target, cv2.imencode(".png", blue_first)[1].tobytes())
        return None

    pool = ThreadPoolExecutor(max(1, workers))
    try:
        with progress.task("converting images", len(plan)) as task:
            for target, problem in zip(plan.values(), pool.map(convert, plan.items()), strict=True):
                task.advance()
                if problem:
                    found.problems.append(problem)
                else:
                    (found.skipped if problem == "" else found.written).append(target)
    finally:
        pool.shutdown(cancel_futures=True)
    return found
