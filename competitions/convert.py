"""Converts images to PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from goldfold.competitions.image import read_levels
from goldfold.competitions.image_kind import bare_name, is_image_of_folder
from goldfold.competitions.level_loss import LevelLoss, levels_kept
from goldfold.competitions.reading import PLAIN, Reading
from goldfold.errors import ImageError, InputError, list_problems
from goldfold.files import write_bytes
from goldfold.progress import SILENT, Progress


@dataclass
class Converted:
    """Files that were written, that existed already, and images that could not be read."""

    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def few_levels_left(name: str, kept: LevelLoss) -> str:
    """Return why an image is not written, and what to do."""
    return (
        f"{name} has {kept.stored:,} levels, of which {kept.seen} would be left. See it through a "
        "--window, or choose another --stretch: percentile, or none to take it as it is."
    )


def plan_conversion(sources: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Return image -> PNG file to write; folders are searched, and their subfolders kept.

    Raises:
        InputError: a source does not exist, there are no images, or two images would become the
            same file.
    """
    missing = [str(path) for path in sources if not path.exists()]
    if missing:
        raise InputError(list_problems("these files or folders do not exist:", missing))
    plan: dict[Path, Path] = {}
    for source in sources:
        for path in _images(source):
            inner = path.relative_to(source).parent if source.is_dir() else Path()
            plan[path] = folder / inner / f"{bare_name(path)}.png"
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
        raise InputError(list_problems(title, double, "Convert their folders separately."))
    return plan


def _images(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    return sorted(path for path in source.rglob("*") if is_image_of_folder(path))


def convert_images(
    plan: dict[Path, Path],
    *,
    bits: Literal[8, 16] = 8,
    reading: Reading = PLAIN,
    overwrite: bool = False,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Converted:
    """Convert the images of a plan and return the result; existing files are skipped.

    Args:
        plan: image -> PNG file, from `plan_conversion`.
        bits: bits of a gray PNG; colour has 8.
        reading: how levels become black and white; three windows become red, green and blue.
        overwrite: write existing files again.
        workers: number of threads; the decoders release the interpreter lock.
        progress: advances once per image.

    Raises:
        OutputError: a file cannot be written.
    """
    converted = Converted()

    def convert(pair: tuple[Path, Path]) -> str | None:
        source, target = pair
        if target.exists() and not overwrite:
            return ""
        try:
            levels = read_levels(source, reading=reading, bits=bits)
        except ImageError as error:
            return str(error)
        kept = levels_kept(source, levels, reading)
        if kept.lost and reading.decides_by_itself:
            return few_levels_left(str(source), kept)
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
                    converted.problems.append(problem)
                else:
                    (converted.skipped if problem == "" else converted.written).append(target)
    finally:
        pool.shutdown(cancel_futures=True)
    return converted
