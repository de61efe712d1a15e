"""Reads the headers of many images in parallel; errors are returned, not raised."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from goldfold.competitions.image import ImageHeader, read_header
from goldfold.errors import ImageError
from goldfold.progress import SILENT, Progress


def read_headers(
    paths: Sequence[Path],
    workers: int = 1,
    progress: Progress = SILENT,
    below: Path | None = None,
) -> list[ImageHeader | ImageError]:
    """Return the header of each image, or the error that says why it cannot be read, in order.

    Args:
        paths: files of images.
        workers: number of threads; more than one helps if disk or network are slow, as reading a
            header takes a fifth of a millisecond.
        progress: advances once per image.
        below: folder relative to which messages name the files; None = full paths.
    """
    headers: list[ImageHeader | ImageError] = []
    with (
        progress.task("reading headers", len(paths)) as task,
        ThreadPoolExecutor(max(1, workers)) as pool,
    ):
        for header in pool.map(lambda path: _try_header(path, below), paths):
            headers.append(header)
            task.advance()
    return headers


def _try_header(path: Path, below: Path | None) -> ImageHeader | ImageError:
    try:
        return read_header(path, below)
    except ImageError as error:
        return error
