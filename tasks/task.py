"""What differs between kinds of competition, in one object that everything else asks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from goldfold.tasks.results import (
    ComparedSubmissions,
    Explanation,
    Judgement,
    Lessons,
    ScoredSubmission,
    Seen,
    SetsOfViews,
    Taught,
)
from goldfold.tasks.run_view import MemberSource, RunView
from goldfold.text_table import Line

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.image_size import ImageSize, SizeLike
    from goldfold.inference.network import Activation
    from goldfold.inference.predict import Forward
    from goldfold.inference.predictor import Predictor
    from goldfold.inference.reader import MapReader
    from goldfold.settings import CompetitionSettings
    from goldfold.submissions.layout import Layout
    from goldfold.submissions.table import Sample
    from goldfold.tasks.image_decision import ImageDecision
    from goldfold.training.cache import ImageCache
    from goldfold.training.fold_run import FoldData
    from goldfold.training.pseudo_labels import PseudoLabels


class Task(ABC):
    """A kind of competition, with everything that only it knows.

    Packages above `tasks` offer pure functions for each kind; packages below it call these methods
    and never ask which kind a competition is.
    """

    needs_sample: ClassVar[bool] = True
    """Whether a submission is always written like a sample submission."""

    def __init__(self, form: CompetitionSettings) -> None:
        """Take the description of a competition."""
        self.form = form

    # --- what an image has ---------------------------------------------------------------------

    @property
    @abstractmethod
    def records(self) -> list[str]:
        """Names of the arrays that are predicted of an image, "" for the only one."""

    @property
    def row_columns(self) -> list[str]:
        """Names of the numbers that are predicted of an image, none where maps are predicted."""
        return []

    @property
    @abstractmethod
    def seen_per_image(self) -> int:
        """How many entries of the first axis of `see` belong to one image."""

    @abstractmethod
    def describe(self) -> str:
        """Return what is predicted, e.g. "the classes A, B, one per image"."""

    @abstractmethod
    def same_as(self, other: Task) -> bool:
        """Return whether predictions of both can be blended."""

    # --- training ------------------------------------------------------------------------------

    @abstractmethod
    def label_facts(self, train: pd.DataFrame) -> list[object]:
        """Return what a training depends on besides ids and merged masks."""

    @abstractmethod
    def cached_masks(self, train: pd.DataFrame) -> list[tuple[str, ...]] | None:
        """Return the encoded masks that the cache holds of each image, None for none."""

    @property
    def classes_per_pixel(self) -> int:
        """How many classes a pixel may have where it has exactly one of them; 0 else."""
        return 0

    @property
    def mask_numbers(self) -> tuple[int, ...]:
        """Class number of each cached mask where a pixel has exactly one class; () else."""
        return ()

    @abstractmethod
    def non_empty(self, train: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which images have something to be found, (N,)."""

    def masks_present(self, train: pd.DataFrame) -> dict[str, bool] | None:
        """Return by image id whether there is a mask, None where images have none."""
        return None

    @abstractmethod
    def nothing_is_empty(self, train: pd.DataFrame) -> str:
        """Return in words that sampling schedules have no empty image to draw, "" if they have."""

    @abstractmethod
    def fold_data(self, lessons: Lessons) -> FoldData:
        """Return what a stage of a fold learns from and is validated on."""

    @property
    def activation(self) -> Activation:
        """What makes probabilities of the logits of masks."""
        return "softmax" if self.classes_per_pixel else "sigmoid"

    @abstractmethod
    def target_shape(self, count: int, input_size: ImageSize) -> tuple[int, ...]:
        """Return the shape of the targets of a batch."""

    # --- prediction ----------------------------------------------------------------------------

    @abstractmethod
    def forward(self, predictor: Predictor, chosen: pd.DataFrame) -> Forward[Any]:
        """Return how images are predicted, and what a prediction store holds of them.

        Args:
            predictor: the checkpoints of one fold.
            chosen: rows of images.csv, in the order of the store.
        """

    @abstractmethod
    def see(
        self, run: RunView, predictor: Predictor, cache: ImageCache, held_out: pd.DataFrame
    ) -> Seen:
        """Return a predictor's output for held-out images, as `judge` takes it."""

    @abstractmethod
    def see_sets(
        self,
        run: RunView,
        predictor: Predictor,
        cache: ImageCache,
        held_out: pd.DataFrame,
        views: SetsOfViews,
    ) -> tuple[Seen, NDArray[np.float64]]:
        """Return the output of sets of views for held-out images, and the seconds of each view.

        Args:
            run: the run.
            predictor: of the fold that held the images out.
            cache: the images at the network's size.
            held_out: rows of images.csv.
            views: V views and the sets that they form.

        Returns:
            For each set what `see` gives, stacked, and (V,) seconds.
        """

    @abstractmethod
    def score_of(
        self, run: RunView, held_out: pd.DataFrame
    ) -> Callable[[Seen, NDArray[np.bool_]], float]:
        """Return what scores `see` on some of the images, thresholds at their best."""

    @abstractmethod
    def judge(
        self,
        run: RunView,
        ways: Sequence[Sequence[Seen]],
        held_out: Sequence[pd.DataFrame],
        base: int,
    ) -> Judgement:
        """Return the cross-fitted scores of ways to predict the same images.

        Args:
            run: the run.
            ways: for each way, by fold training, what `see` gives of its held-out images.
            held_out: by fold training, rows of images.csv.
            base: the way that gains are counted from.
        """

    # --- blend and thresholds ------------------------------------------------------------------

    @abstractmethod
    def judged_facts(self, run: RunView) -> dict[str, Any]:
        """Return what ensemble.json depends on besides predictions."""

    @abstractmethod
    def assess(
        self, run: RunView, source: MemberSource, made_from: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the content of ensemble.json; metrics and pictures are written beside it."""

    @abstractmethod
    def compare_blends(self, run: RunView, source: MemberSource) -> dict[str, Any]:
        """Return the score of every merge with every way to weigh, as plain values.

        Raises:
            InputError: the metric cannot be searched so.
        """

    @abstractmethod
    def ensemble_lines(self, report: Mapping[str, Any]) -> list[Line]:
        """Return the content of an ensemble.json as text to print."""

    # --- pseudo-labels -------------------------------------------------------------------------

    @abstractmethod
    def teach(
        self, readers: Mapping[str, Sequence[tuple[MapReader, int]]], image_id: str, *, hard: bool
    ) -> Taught:
        """Return the pseudo-label of an image.

        Args:
            readers: by record, the stores of one fold with the weights of their members.
            image_id: the image.
            hard: 0 and 1 instead of probabilities.
        """

    @abstractmethod
    def read_pseudo(self, path: Path, cache: Path, name: str, size: SizeLike) -> PseudoLabels:
        """Return the pseudo-labels of a store at the size of a training.

        Args:
            path: the store.
            cache: folder of the caches.
            name: tells them from others.
            size: a side, or (height, width).
        """

    @abstractmethod
    def pseudo_summary(self, kept: Sequence[Mapping[str, Any]]) -> str:
        """Return in words what the rows of pseudo-labels.csv that are kept hold."""

    # --- submission ----------------------------------------------------------------------------

    @abstractmethod
    def layout(self) -> Layout:
        """Return the columns of a submission and what they hold."""

    @abstractmethod
    def cells(
        self, run: RunView, source: MemberSource, sample: Sample, layout: Layout
    ) -> list[tuple[str, Any]]:
        """Return key and cell of each row of the sample.

        Raises:
            InputError: rows of the sample have no prediction, or are of unknown classes.
        """

    def shapes(self, images: pd.DataFrame) -> dict[str, tuple[int, int]] | None:
        """Return height and width of each image where a submission depends on them."""
        return None

    @abstractmethod
    def plain_table(self, run: RunView, source: MemberSource) -> pd.DataFrame:
        """Return what is predicted of the test images where there is no sample submission.

        Raises:
            InputError: the task always needs a sample.
        """

    def judge_test(self, run: RunView, source: MemberSource) -> list[Line]:
        """Return text about test images whose labels are known, and write their measures.

        Nothing where they are not known.
        """
        return []

    @abstractmethod
    def explain(self, run: RunView, source: MemberSource, row: pd.Series) -> list[Explanation]:
        """Return why an image got what it got, one explanation per record.

        Args:
            run: the run.
            source: of its members.
            row: of images.csv.
        """

    @abstractmethod
    def compare(
        self, first: Path, second: Path, shapes: Mapping[str, tuple[int, int]] | None
    ) -> ComparedSubmissions:
        """Return where two submissions differ.

        Raises:
            InputError: a file is malformed, or they share no image.
        """

    @abstractmethod
    def comparison_lines(
        self, comparison: Any, first: Path, second: Path, images: int
    ) -> list[Line]:
        """Return the result of `compare` as text to print, with at most `images` images."""

    @abstractmethod
    def score(
        self,
        file: Path,
        solution: Path,
        shapes: Mapping[str, tuple[int, int]] | None,
        *,
        only_submitted: bool,
    ) -> ScoredSubmission:
        """Return the competition's score of a submission.

        Raises:
            InputError: a file is malformed, or they are not about the same images.
        """

    @abstractmethod
    def score_lines(self, scores: Any) -> list[Line]:
        """Return the result of `score` as text to print."""

    # --- export --------------------------------------------------------------------------------

    @abstractmethod
    def image_decision(self, run: RunView, source: MemberSource) -> ImageDecision:
        """Return blend and thresholds of ensemble.json, for single images.

        Raises:
            InputError: ensemble.json is not whole, or predictions that it needs are missing.
        """

    @abstractmethod
    def model_measures(self, chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the measures of ensemble.json that an exported model shows."""
