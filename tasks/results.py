"""What the methods of a task take and give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from goldfold.text_table import Line

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.settings import StageSettings
    from goldfold.training.cache import ImageCache
    from goldfold.training.images import PseudoLabelled


@dataclass(frozen=True)
class Lessons:
    """What a stage of a fold learns from.

    Attributes:
        cache: the labelled images at the stage's size.
        train: rows of images.csv by image id.
        inside: ids to learn from, sorted.
        held_out: ids that are held out, sorted.
        stage: its settings.
        weights: (L,) how likely each image is drawn, None where all are alike.
        pseudo: unlabelled images with labels, None without.
    """

    cache: ImageCache
    train: pd.DataFrame
    inside: Sequence[str]
    held_out: Sequence[str]
    stage: StageSettings
    weights: NDArray[np.float64] | None
    pseudo: PseudoLabelled | None


@dataclass(frozen=True)
class SetsOfViews:
    """Views that are compared, and the sets that they form.

    Attributes:
        names: of V views.
        sets: places of the views of each set.
        title: of the progress.
    """

    names: Sequence[str]
    sets: Sequence[tuple[int, ...]]
    title: str


@dataclass(frozen=True)
class Judgement:
    """How ways to predict the same images compare, each by a cross-fitted score.

    Attributes:
        honest: score of each way.
        gains: of each way over one of them: mean, low and high of a 95 % interval over groups.
        images: how many images there are.
    """

    honest: list[float]
    gains: list[dict[str, Any]]
    images: int


@dataclass(frozen=True)
class Taught:
    """The pseudo-label of an image.

    Attributes:
        arrays: what is stored, by record.
        confidence: 0 to 1.
        facts: what pseudo-labels.csv says of the image besides.
    """

    arrays: Mapping[str, NDArray[Any]]
    confidence: float
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Explanation:
    """Why an image got what it got.

    Attributes:
        facts: plain values, for JSON.
        panels: pictures side by side, uint8 (H, W, 3), blue first.
        lines: what is told to people.
    """

    facts: dict[str, Any]
    panels: NDArray[np.uint8]
    lines: Sequence[Line]

    def _repr_png_(self) -> bytes:
        """Return the panels as a PNG, which is how a notebook shows an explanation."""
        import cv2

        _, content = cv2.imencode(".png", self.panels)
        return content.tobytes()


class ComparedSubmissions(Protocol):
    """Where two submissions differ."""

    @property
    def agreement(self) -> float:
        """How much both agree, 1 for equal ones."""

    @property
    def agreement_by(self) -> str:
        """What `agreement` is."""

    @property
    def only_first(self) -> tuple[str, ...]:
        """Ids that only the first file has."""

    @property
    def only_second(self) -> tuple[str, ...]:
        """Ids that only the second file has."""

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""


class ScoredSubmission(Protocol):
    """The score of a submission against the truth."""

    @property
    def warnings(self) -> Sequence[str]:
        """What is to be known of the files."""

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON values."""


Seen = Any
"""Predictions for N images, as an array whose first axis is images (times masks)."""
