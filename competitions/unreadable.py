"""Images that cannot be read: found by decoding all, then reported or left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.data_report import DataReport, count_ids
from goldfold.competitions.image import (
    ImageHeader,
    UndecidedImageError,
    read_levels,
    reading_of,
)
from goldfold.competitions.reading import Reading
from goldfold.errors import ImageError, plural
from goldfold.progress import SILENT, Progress
from goldfold.settings import CompetitionSettings

_SHOWN = 20
_AT_ONCE = 4  # images per thread that wait to be taken
Seen = TypeVar("Seen")
Levels = NDArray[np.uint8 | np.uint16]


def look_at_all(
    paths: Sequence[str],
    data: Path,
    reading: Reading,
    look: Callable[[Path, Levels], Seen],
    *,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Iterator[Seen | ImageError]:
    """Yield what `look` returns for each image, or why the image cannot be read, in order.

    Only as many images are in memory as threads decode.

    Args:
        paths: below the data folder.
        data: the data folder.
        reading: how the pixels are read.
        look: takes the path and the levels of an image, in any thread.
        workers: number of decoding threads.
        progress: advances once per image.
    """

    def looked(path: str) -> Seen | ImageError:
        try:
            return look(data / path, read_levels(data / path, data, reading))
        except ImageError as error:
            return error

    workers = max(1, workers)
    step = workers * _AT_ONCE * 16
    pool = ThreadPoolExecutor(workers)
    try:
        with progress.task("decoding images", len(paths)) as task:
            for start in range(0, len(paths), step):
                for seen in pool.map(looked, paths[start : start + step]):
                    task.advance()
                    yield seen
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for thousands of images


def with_damage(
    headers: Sequence[ImageHeader | ImageError],
    paths: Sequence[str],
    settings: CompetitionSettings,
    *,
    workers: int = 1,
    progress: Progress = SILENT,
) -> list[ImageHeader | ImageError]:
    """Return the headers, with an error where the pixels cannot be decoded.

    Pixels are decoded only if competition.unreadable = "drop"; `check` and the cache find the
    others.

    Args:
        headers: of files, or why they cannot be read.
        paths: of the same files, below the data folder.
        settings: of the competition.
        workers: number of decoding threads.
        progress: advances once per image.
    """
    checked = list(headers)
    if settings.unreadable != "drop":
        return checked
    good = [place for place, header in enumerate(headers) if isinstance(header, ImageHeader)]
    decoded = look_at_all(
        [paths[place] for place in good], settings.data, reading_of(settings.images),
        lambda path, levels: None, workers=workers, progress=progress,
    )  # fmt: skip
    for place, error in zip(good, decoded, strict=True):
        if error is not None:
            checked[place] = error
    return checked


def report_unreadable(
    images: pd.DataFrame,
    errors: Sequence[object],
    settings: CompetitionSettings,
    report: DataReport,
) -> None:
    """Report the images that cannot be read, as problems or as left out.

    What the settings have to decide, such as the window of CT, is always a problem, and so is a
    test image whose row of the submission would lack a prediction.

    Args:
        images: image_id and split.
        errors: for each image the ImageError, or anything else where it can be read.
        settings: of the competition.
        report: receives problems and notices.
    """
    dropped: list[tuple[str, str, ImageError]] = []
    columns = zip(images["image_id"], images["split"], errors, strict=True)
    for image_id, split, error in columns:
        if not isinstance(error, ImageError):
            continue
        report.unreadable[image_id] = _short_reason(error)
        if settings.unreadable == "error" or isinstance(error, UndecidedImageError):
            report.problems.append(str(error))
        elif split == "test" and settings.predicts_every_row:
            report.problems.append(
                f"{error} It is a test image, and its row of the submission needs a prediction, so "
                'competition.unreadable = "drop" does not leave it out: put a copy that can be '
                "read, or a black image, in its place."
            )
        else:
            dropped.append((image_id, split, error))
    for kind in ("train", "test"):
        ids = [image_id for image_id, split, _ in dropped if split == kind]
        where = "training" if kind == "train" else "test"
        report.notices += count_ids(
            ids, f"{where} image is", f"{where} images are",
            "left out because they cannot be read (competition.unreadable)",
        )  # fmt: skip
    report.notices += [str(error) for _, _, error in dropped[:_SHOWN]]
    if len(dropped) > _SHOWN:
        further = plural(len(dropped) - _SHOWN, "further image", "further images")
        report.notices.append(f"{further} cannot be read")


def _short_reason(error: ImageError) -> str:
    """Return the reason of an error without the file's name and the remedy."""
    return str(error).partition(": ")[2].partition(". ")[0]
