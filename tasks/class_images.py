"""Classes of single images, with an exported model or a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.ensemble.class_merge import rank_reference
from goldfold.tasks.class_members import class_members, row_members
from goldfold.tasks.class_submission import class_choice_of
from goldfold.tasks.image_decision import ImagePrediction
from goldfold.tasks.prediction_rows import Rows
from goldfold.tasks.row_images import RowImages

if TYPE_CHECKING:
    from goldfold.competitions.rle import Dialect
    from goldfold.ensemble.class_choice import ClassChoice
    from goldfold.tasks.run_view import MemberSource, RunView

MEASURES = ("precision", "recall", "f1", "auroc", "average_precision")


class ClassImages(RowImages):
    """Blend and thresholds of class labels."""

    def __init__(self, choice: ClassChoice) -> None:
        """Take what was chosen."""
        self.choice = choice

    @classmethod
    def read(cls, content: Mapping[str, Any], source: Path, remedy: str) -> ClassImages:
        """Return the decision of a model.json.

        Raises:
            InputError: it does not follow the form.
        """
        from goldfold.ensemble.class_choice import check_class_choice

        return cls(check_class_choice(content, source, remedy))

    @property
    def outputs(self) -> int:
        """One number per class."""
        return len(self.choice.classes)

    @property
    def sums_to_one(self) -> bool:
        """Whether an image has exactly one class."""
        return self.choice.exclusive

    @property
    def weights(self) -> Mapping[str, int]:
        """Weight of each member."""
        return self.choice.weights

    def decide(
        self, seen: Mapping[str, Sequence[NDArray[np.float32]]], pixels: NDArray[np.uint8]
    ) -> ImagePrediction:
        """Return the classes of an image."""
        means = [np.asarray(np.mean(rows, axis=0, dtype=np.float64)) for rows in seen.values()]
        probability = self.choice.blend(list(seen), means)
        predicted = self.choice.decide(probability)
        return ImagePrediction(pixels, probability=probability[0], predicted=predicted[0])

    def content(self) -> dict[str, Any]:
        """Return merge, members, classes and thresholds."""
        from goldfold.ensemble.class_choice import describe_class_choice

        return describe_class_choice(self.choice)

    def describe(self, prediction: ImagePrediction, dialect: Dialect) -> dict[str, Any]:
        """Return the probability of each class, and those that are predicted."""
        classes = self.choice.classes
        return {
            "classes": {
                name: round(float(probability), 6)
                for name, probability in zip(classes, prediction.probability, strict=True)
            },
            "predicted": [
                name for name, yes in zip(classes, prediction.predicted, strict=True) if yes
            ],
        }

    def lines(self, facts: Mapping[str, Any]) -> list[str]:
        """Return the predicted classes and all probabilities, one line."""
        said = ", ".join(facts["predicted"]) or "none of the classes"
        chances = ", ".join(f"{name} {p:.3f}" for name, p in facts["classes"].items())
        return [f"{said} ({chances})"]

    def summary(self) -> str:
        """Return which classes."""
        return f"the classes {', '.join(self.choice.classes)}"

    def measure_rows(self, measures: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        """Return one row per class."""
        rows = [[row["class"], *(row[name] for name in MEASURES)] for row in measures]
        return [["class", *MEASURES], *rows] if rows else []


def class_images_of(run: RunView, source: MemberSource) -> ClassImages:
    """Return the decision of a run; blended by rank, with quantiles to count ranks in."""
    from dataclasses import replace

    from goldfold.ensemble.decision_fields import require_members

    choice = class_choice_of(run)
    if choice.merge == "rank":
        known = row_members(class_members(source, "out-of-fold"), Rows(run), "out-of-fold")
        require_members(run.directory.ensemble, choice.weights, known.names)
        choice = replace(
            choice,
            quantiles={
                name: rank_reference(table)
                for name, table in zip(known.names, known.probability, strict=True)
                if choice.weights[name]
            },
        )
    return ClassImages(choice)
