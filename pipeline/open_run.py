"""An open run: its directory, settings, progress, and the tables that every stage starts from."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from goldfold.competitions.preset import load_settings
from goldfold.folds.fold_view import FoldView
from goldfold.pipeline.devices import Devices, parse_devices
from goldfold.pipeline.folds_stage import require_folds
from goldfold.pipeline.images_stage import ensure_images
from goldfold.pipeline.split import view_of
from goldfold.progress import SILENT, Progress
from goldfold.progress_lines import WARNINGS_ONLY
from goldfold.rundirectory import RunDirectory
from goldfold.settings import Settings
from goldfold.tasks.registry import task_of
from goldfold.workers import workers_each

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.folds.fold_view import Fold
    from goldfold.tasks.task import Task


class OpenRun:
    """A run directory with its settings, its images and its folds.

    Attributes:
        directory: where everything of the run lies.
        settings: as resolved, with the data folder as an absolute path.
        progress: told of everything that is done.
        assignments: what --set changed, repeated in the commands that messages offer.
        devices: that train and predict, as `parse_devices` gives them.
    """

    def __init__(
        self,
        directory: RunDirectory,
        settings: Settings,
        progress: Progress = SILENT,
        assignments: Sequence[str] = (),
        devices: Sequence[str] = (),
    ) -> None:
        """Take what is known of a run; no table is read yet."""
        self.directory, self.settings, self.progress = directory, settings, progress
        self.assignments, self.devices = tuple(assignments), tuple(devices)
        self._images: pd.DataFrame | None = None
        self._folds: pd.DataFrame | None = None
        self._fold_view: FoldView | None = None

    @classmethod
    def open(
        cls,
        folder: Path | str,
        assignments: Sequence[str] | None = None,
        progress: Progress = WARNINGS_ONLY,
        devices: Devices = None,
    ) -> Self:
        """Return the run of a directory.

        The data folder becomes an absolute path, so what a stage was made from does not depend on
        the working directory.

        Args:
            folder: run directory.
            assignments: changes of settings, such as `models.0.stages.0.epochs=3`.
            progress: told of everything that is done; warnings are printed to stderr unless given.
            devices: that train and predict, one fold each at a time, such as "0,1" (GPUs), "cpu"
                or ["cpu", "cpu"]; all GPUs unless given, or the CPU without any.

        Raises:
            SettingsError: goldfold.toml is missing or wrong.
            InputError: `devices` names none.
        """
        directory = RunDirectory(Path(folder))
        settings = load_settings(directory.settings, assignments or [])
        data = settings.competition.data.resolve()
        competition = settings.competition.model_copy(update={"data": data})
        settings = settings.model_copy(update={"competition": competition})
        return cls(directory, settings, progress, tuple(assignments or ()), parse_devices(devices))

    def __repr__(self) -> str:
        """Return how to open the run again."""
        changed = f", {list(self.assignments)}" if self.assignments else ""
        return f"{type(self).__name__}.open({str(self.directory.root)!r}{changed})"

    @property
    def workers(self) -> int:
        """Threads for decoding and loading."""
        return workers_each(self.settings.workers, 1)

    @cached_property
    def task(self) -> Task:
        """What differs between kinds of competition."""
        return task_of(self.settings.competition)

    @property
    def images(self) -> pd.DataFrame:
        """images.csv, one row per image; read anew from the data if its inputs changed.

        Raises:
            InputError: the data has problems; all are listed.
        """
        if self._images is None:
            self._images = ensure_images(self)
        return self._images

    @property
    def folds(self) -> pd.DataFrame:
        """folds.csv, one row per training image, as it stands.

        Raises:
            InputError: it is missing, was changed by hand, or is not the split of the present
                images and settings.
        """
        if self._folds is None:
            self._folds = require_folds(self)
        return self._folds

    @property
    def fold_view(self) -> FoldView:
        """Who is trained on, who is held out, and which images belong together.

        Raises:
            InputError: as `folds`.
        """
        if self._fold_view is None:
            self._fold_view = view_of(self, self.folds)
        return self._fold_view

    def fold(self, number: int) -> Fold:
        """Return one fold: what it holds out, and what its models are trained on.

        Raises:
            InputError: as `folds`.
        """
        return self.fold_view.fold(number)

    def read_tables(self) -> None:
        """Read images.csv and folds.csv, so that what is wrong with them is said first.

        Raises:
            InputError: as `images` and `folds`.
        """
        _ = self.folds

    def take_tables(self, images: pd.DataFrame, folds: pd.DataFrame | None = None) -> None:
        """Use these tables from now on, e.g. ones that a dry run did not write."""
        self._images = images
        if folds is not None:
            self._folds, self._fold_view = folds, None

    def with_progress(self, progress: Progress) -> Self:
        """Return the same run, which reports elsewhere."""
        other = type(self)(self.directory, self.settings, progress, self.assignments, self.devices)
        other._images, other._folds = self._images, self._folds
        other._fold_view = self._fold_view
        return other

    def command(self, words: str) -> str:
        """Return a command on this run, for messages; it can be pasted into a shell."""
        changed = [word for assignment in self.assignments for word in ("--set", assignment)]
        return f"goldfold {words} {shlex.join([str(self.directory.root), *changed])}"
