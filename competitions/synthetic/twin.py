"""What all synthetic twins do alike: asked for again nothing, made whole or not at all."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from goldfold.competitions.synthetic.folder import (
    Drawn,
    Item,
    draw_all,
    known_report,
    twin_order,
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
class Order:
    """What a twin is made with, and how.

    Attributes:
        folder: where the competition will be; it is written elsewhere first.
        train: training images.
        test: test images.
        size: of the images in pixels, as the twin counts it.
        seed: decides everything.
        quirks: whether faults of the real files are planted.
        workers: threads that draw; None = the number of processor cores.
        progress: told of each image.
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
        """Return what `draw` gives for each item, in their order, whatever the number of threads.

        Args:
            draw: writes an image; what is random in it must come from the item alone.
            items: images to be drawn.
        """
        return draw_all(draw, items, self.workers, self.progress)


class Twin(Generic[Report]):
    """A synthetic competition in the files of a real one: called with an order, it writes them."""

    def __init__(
        self,
        kind: str,
        version: int,
        report: Callable[..., Report],
        write: Callable[[Path, Order], Report],
    ) -> None:
        """Take what is the twin's own.

        Args:
            kind: tells it from others in `FACTS_FILE`.
            version: raised whenever the same seed gives other bytes.
            report: makes the report of its fields.
            write: draws and writes everything but `FACTS_FILE` into a folder.
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
        """Return what was written, or is there already.

        Args:
            folder: where it goes; must not exist, or be empty, or hold the same competition.
            train: training images.
            test: test images.
            size: of the images in pixels, as the twin counts it.
            seed: decides everything.
            quirks: plant faults of the real files.
            progress: told of each image.
            workers: threads; None = the number of processor cores. They do not change the result.

        Raises:
            InputError: an argument is out of its range or the folder holds something else.
            OutputError: the folder cannot be written.
        """
        made_with = twin_order(self.kind, self.version, train, test, size, seed, quirks)
        there: dict[str, Any] | None = known_report(folder, made_with, progress)
        if there is not None:
            return self._report(folder=folder, **there)
        order = Order(folder, train, test, size, seed, quirks, workers, progress)
        with whole_folder(folder) as partial:
            report = self._write(partial, order)
            write_report(partial, made_with, report)
        return report
