"""The one place where predictions of images become those of the rows of a submission.

Where `competition.rows` names groups of images, each member's prediction of a row is made from
those of its images before anything is chosen: weights, calibration, thresholds, cut points, honest
score, bootstrap and submission all see rows. Without that setting the rows are the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.images_table import test_images, training_images
from goldfold.competitions.prediction_rows import join_rows, row_ids
from goldfold.folds.fold_view import FoldView

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.progress import Progress
    from goldfold.rundirectory import RunDirectory
    from goldfold.settings import Settings
    from goldfold.tasks.run_view import RunView, Split
    from goldfold.vocabulary import RowAggregate

FloatArray = NDArray[np.float64]


class Rows:
    """A view of a run in which an image is a row of the submission; see `RunView`."""

    def __init__(self, run: RunView) -> None:
        """Take the run."""
        self.run = run

    @property
    def settings(self) -> Settings:
        """As resolved."""
        return self.run.settings

    @property
    def directory(self) -> RunDirectory:
        """Where the files of the run lie."""
        return self.run.directory

    @property
    def progress(self) -> Progress:
        """Told of everything that is done."""
        return self.run.progress

    @property
    def workers(self) -> int:
        """Threads for decoding and loading."""
        return self.run.workers

    @property
    def folds(self) -> pd.DataFrame:
        """folds.csv, one row per training image."""
        return self.run.folds

    def command(self, words: str) -> str:
        """Return a command on this run, for messages."""
        return self.run.command(words)

    @cached_property
    def images(self) -> pd.DataFrame:
        """images.csv, or a table like it with one row per row of the submission."""
        import pandas as pd

        if self._rows is None:
            return self.run.images
        form = self.settings.competition
        splits = (training_images(self.run.images), test_images(self.run.images))
        tables = [join_rows(images, form) for images in splits if len(images)]
        return pd.concat(tables, ignore_index=True)

    @cached_property
    def fold_view(self) -> FoldView:
        """Who is held out; a row lies in the fold of its images and has their group."""
        if self._rows is None:
            return self.run.fold_view
        view, row_of = self.run.fold_view, self._row_of("out-of-fold")
        ids = sorted(set(self.folds["image_id"]) & set(row_of))
        table = self.folds.set_index("image_id").loc[ids, ["fold", "group"]].reset_index()
        table["image_id"] = [row_of[image_id] for image_id in ids]
        first = table.groupby("image_id", as_index=False).first()
        mixed = table.groupby("image_id")["group"].nunique() > 1
        first["group"] = first["group"].mask(first["image_id"].map(mixed), "")
        return FoldView(first, ordered=view.ordered)

    def named(self) -> dict[str, Any]:
        """Return what ensemble.json says of the rows; {} where they are the images."""
        return {} if self._rows is None else {"rows": self._rows.columns}

    def row_of(self, image_id: str, split: Split) -> str:
        """Return the row that an image belongs to."""
        return image_id if self._rows is None else self._row_of(split)[image_id]

    def join(
        self, image_ids: Sequence[str], values: Sequence[FloatArray], split: Split
    ) -> tuple[list[str], list[FloatArray]]:
        """Return the ids of rows, sorted, and what is predicted of them.

        Without groups of images, what was given is returned.

        Args:
            image_ids: N ids of images.
            values: arrays (N, C) of probabilities, or (N, 1) of places on a scale.
            split: of the images.

        Returns:
            R ids, and as many arrays (R, C).
        """
        if self._rows is None:
            return list(image_ids), list(values)
        row_of = self._row_of(split)
        names, place = np.unique([row_of[name] for name in image_ids], return_inverse=True)
        how: RowAggregate = self._rows.aggregate
        pair = self.settings.competition.exclusive and how != "mean"
        return names.tolist(), [joined(table, place, how, pair=pair) for table in values]

    @property
    def _rows(self) -> Any:
        return self.settings.competition.rows

    def _row_of(self, split: Split) -> dict[str, str]:
        chosen = training_images if split == "out-of-fold" else test_images
        images = chosen(self.run.images)
        return dict(zip(images["image_id"], row_ids(images, self._rows), strict=True))


def joined(
    values: FloatArray, place: NDArray[np.int64], how: RowAggregate, *, pair: bool = False
) -> FloatArray:
    """Return what is predicted of rows, (R, C), from what is predicted of their images.

    >>> table = np.array([[0.5], [0.5], [0.2]])
    >>> joined(table, np.array([0, 0, 1]), "noisy-or").ravel().tolist()
    [0.75, 0.2]

    Args:
        values: (N, C) probabilities, or places on a scale.
        place: (N,) row of each image, from 0.
        how: mean, max, or noisy-or: 1 - prod(1 - p).
        pair: the classes are two that exclude each other: the second decides.
    """
    if pair:
        second = joined(values[:, 1:], place, how)
        return np.concatenate([1 - second, second], axis=1)
    shape = (int(place.max(initial=-1)) + 1, values.shape[1])
    if how == "mean":
        total = np.zeros(shape)
        np.add.at(total, place, values)
        mean: FloatArray = total / np.bincount(place)[:, None]
        return mean
    if how == "max":
        highest = np.full(shape, -np.inf)
        np.maximum.at(highest, place, values)
        return highest
    absent = np.ones(shape)
    np.multiply.at(absent, place, 1 - values)
    return 1 - absent
