"""The generator of synthetic competitions.

Generating is idempotent and atomic: asking again does nothing, and a failed attempt leaves nothing
behind.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from goldfold.competitions.synthetic.competition_folder import (
    Drawn,
    Item,
    draw_all,
    known_report,
    request_facts,
    write_report,
)
from goldfold.files import whole_folder
from goldfold.progress import SILENT, Progress

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Report = TypeVar("Report", bound=DataclassInstance)
else:
    Report = TypeVar("Report")


@dataclass(frozen=True)
class Request:
    """What was requested of a synthetic competition, and how to draw it.

    Attributes:
        folder: the final output folder; files are written to a temporary one first.
        train: number of training images.
        test: number of test images.
        size: size of the images in pixels, as the competition defines it.
        seed: determines everything that is random.
        quirks: whether to plant faults of the real files.
        workers: number of threads; None = number of cores.
        progress: advances once per image.
    """

    folder: Path
    train: int
    test: int
    size: int
    seed: int
    quirks: bool
    workers: int | None
    progress: Progress

    def draw_all(self, draw: Callable[[Item], Drawn], items: Sequence[Item]) -> list[Drawn]:
        """Return the result of `draw` for each item, in order, whatever the number of threads.

        Args:
            draw: draws and writes an image; its randomness must depend on the item alone.
            items: plans of the images to draw.
        """
        return draw_all(draw, items, self.workers, self.progress)


class SyntheticCompetition(Generic[Report]):
    """A synthetic competition in the files of a real one; calling it writes them."""

    def __init__(
        self,
        kind: str,
        version: int,
        report: Callable[..., Report],
        write: Callable[[Path, Request], Report],
    ) -> None:
        """Define the competition.

        Args:
            kind: identifies it in `FACTS_FILE`.
            version: raised whenever the same seed gives different bytes.
            report: creates the report from its fields.
            write: draws and writes everything except `FACTS_FILE` into a folder.
        """
        self.kind, self.version, self._report, self._write = kind, version, report, write
        functools.update_wrapper(self, write)

    def __call__(
        self,
        folder: Path,
        *,
        train: int,
        test: int,
        size: int,
        seed: int,
        quirks: bool = False,
        progress: Progress = SILENT,
        workers: int | None = None,
    ) -> Report:
        """Write the competition, unless the folder already contains it, and return its report.

        Args:
            folder: the output folder; it must not exist, be empty, or contain the same competition.
            train: number of training images.
            test: number of test images.
            size: size of the images in pixels, as the competition defines it.
            seed: determines everything that is random.
            quirks: plant faults of the real files.
            progress: advances once per image.
            workers: number of threads, which does not change the result; None = number of cores.

        Raises:
            InputError: an argument is out of range, or the folder contains something else.
            OutputError: the folder cannot be written.
        """
        made_with = request_facts(self.kind, self.version, train, test, size, seed, quirks)
        existing: dict[str, Any] | None = known_report(folder, made_with, progress)
        if existing is not None:
            return self._report(folder=folder, **existing)
        request = Request(folder, train, test, size, seed, quirks, workers, progress)
        with whole_folder(folder) as partial:
            report = self._write(partial, request)
            write_report(partial, made_with, report)
        return report
