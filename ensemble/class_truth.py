"""What is true of the classes of images, and how it is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_measures import reported_score
from goldfold.competitions.class_metric_score import (
    best_class_score,
    class_metric_score,
    thresholds_for,
)
from goldfold.errors import InputError
from goldfold.folds.parts import names_of

FloatArray = NDArray[np.float64]
Targets = NDArray[np.uint8]


@dataclass(frozen=True)
class Truth:
    """What is true of images, and how it is scored.

    Attributes:
        targets: (N, C) of 0 and 1.
        classes: C names.
        exclusive: exactly one class an image.
        metric: name of a metric of classes.
        class_weights: (C,) of metrics that are means over classes.
        image_ids: (N,) ids, by which leaks are found and named; places from 0 unless given.
    """

    targets: Targets
    classes: tuple[str, ...]
    exclusive: bool
    metric: str
    class_weights: tuple[float, ...]
    image_ids: Sequence[str] | None = None

    @property
    def names(self) -> NDArray[np.str_]:
        """The ids of the images, (N,)."""
        return names_of(self.image_ids, len(self.targets))

    def of(self, which: NDArray[np.bool_]) -> Truth:
        """Return the truth of some of the images."""
        return replace(self, targets=self.targets[which], image_ids=self.names[which].tolist())

    def score(
        self,
        probability: FloatArray,
        thresholds: Sequence[float] | None = None,
        weights: FloatArray | None = None,
    ) -> float:
        """Return the score of probabilities (N, C), as resampling computes it."""
        return class_metric_score(
            self.metric,
            self.targets,
            probability,
            exclusive=self.exclusive,
            class_weights=self.class_weights,
            thresholds=thresholds,
            weights=weights,
        )

    def best_score(self, probability: FloatArray) -> float:
        """Return the score by which blends are ranked: `best_class_score`."""
        return best_class_score(
            self.metric,
            self.targets,
            probability,
            exclusive=self.exclusive,
            class_weights=self.class_weights,
        )

    def thresholds(self, probability: FloatArray) -> list[float]:
        """Return the thresholds (C,) that are best on these images: `thresholds_for`."""
        return thresholds_for(
            self.metric,
            self.targets,
            probability,
            exclusive=self.exclusive,
            class_weights=self.class_weights,
        )

    def reported_score(
        self, probability: FloatArray, thresholds: Sequence[float] | None = None
    ) -> float:
        """Return the score of probabilities (N, C), as scikit-learn computes it."""
        return reported_score(
            self.metric,
            self.targets,
            probability,
            exclusive=self.exclusive,
            class_weights=self.class_weights,
            thresholds=thresholds,
        )


class Scorable(Protocol):
    """What is true of images, as far as a blend of rows needs to know: `Truth`, or of numbers."""

    @property
    def exclusive(self) -> bool:
        """Whether rows sum to one."""

    @property
    def names(self) -> NDArray[np.str_]:
        """The ids of the images, (N,)."""

    def of(self, which: NDArray[np.bool_]) -> Scorable:
        """Return the truth of some of the images."""

    def best_score(self, probability: FloatArray) -> float:
        """Return the score of rows (N, C) with what is best for them; higher is better."""


def targets_of(truth: Scorable) -> Targets:
    """Return the targets that calibration and stacking are fitted to, (N, C).

    Raises:
        InputError: the truth is not one of classes.
    """
    if not isinstance(truth, Truth):
        raise InputError(
            "calibration and stacking are fitted to masks or classes, not to numbers: leave them "
            "out."
        )
    return truth.targets
