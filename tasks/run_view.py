"""What a task may know of a run, and where it gets the predictions of members from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.ensemble.blend import Member
    from goldfold.folds.fold_view import FoldView
    from goldfold.progress import Progress
    from goldfold.rundirectory import RunDirectory
    from goldfold.settings import Settings

Split = Literal["out-of-fold", "test"]


class RunView(Protocol):
    """What a task may know of a run: its settings and tables, and where to report to."""

    @property
    def settings(self) -> Settings:
        """As resolved."""

    @property
    def directory(self) -> RunDirectory:
        """Where the files of the run lie."""

    @property
    def progress(self) -> Progress:
        """Told of everything that is done."""

    @property
    def workers(self) -> int:
        """Threads for decoding and loading."""

    @property
    def images(self) -> pd.DataFrame:
        """images.csv, one row per image."""

    @property
    def folds(self) -> pd.DataFrame:
        """folds.csv, one row per training image."""

    @property
    def fold_view(self) -> FoldView:
        """Who is trained on, who is held out, and which images belong together."""

    def command(self, words: str) -> str:
        """Return a command on this run, for messages."""


class MemberSource(Protocol):
    """Opens the predictions of a run's members; refuses what is missing, outdated or leaking."""

    def open(
        self, split: Split, record: str = "", weights: Mapping[str, int] | None = None
    ) -> list[Member]:
        """Return the members with their stores opened.

        Args:
            split: which predictions.
            record: whose arrays, where an image has several (`Task.records`).
            weights: by member; those of the settings, or 1, unless given.

        Raises:
            InputError: predictions are missing or outdated, or a model saw what it predicts.
        """
