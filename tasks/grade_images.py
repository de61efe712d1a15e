"""Grades and numbers of single images, with an exported model or a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.ensemble.class_merge import rank_reference
from goldfold.errors import InputError
from goldfold.tasks.image_decision import ImagePrediction
from goldfold.tasks.prediction_rows import Rows
from goldfold.tasks.row_images import RowImages

if TYPE_CHECKING:
    from goldfold.competitions.rle import Dialect
    from goldfold.ensemble.number_choice import NumberChoice
    from goldfold.tasks.run_view import MemberSource, RunView


class NumberImages(RowImages):
    """Blend and cut points of grades, or the blend of numbers."""

    def __init__(self, choice: NumberChoice, outputs: int, *, sums_to_one: bool) -> None:
        """Take what was chosen, and the output of the networks.

        Args:
            choice: blend and cut points.
            outputs: numbers that a network gives of an image.
            sums_to_one: whether they are probabilities of the grades.
        """
        self.choice, self._outputs, self._sums_to_one = choice, outputs, sums_to_one

    @classmethod
    def read(cls, content: Mapping[str, Any], source: Path, remedy: str) -> NumberImages:
        """Return the decision of a model.json.

        Raises:
            InputError: it does not follow the form.
        """
        from goldfold.ensemble.number_choice import check_number_choice

        rest = {key: value for key, value in content.items() if key not in ("outputs", "exclusive")}
        choice = check_number_choice(rest, source, remedy)
        outputs, exclusive = content.get("outputs"), content.get("exclusive")
        grades = len(choice.scale.grades)
        known = {1, grades, grades - 1} if grades else {1}
        if type(outputs) is not int or outputs not in known:
            raise InputError(
                f"{source}: decision: {outputs!r:.20} outputs do not go with {grades} grades. "
                f"{remedy}"
            )
        # Only where each grade has an output do these exclude each other.
        if exclusive is not (outputs == grades):
            raise InputError(
                f"{source}: decision.exclusive: expected {str(outputs == grades).lower()} with "
                f"{outputs} outputs and {grades} grades, found {exclusive!r:.20}. {remedy}"
            )
        return cls(choice, outputs, sums_to_one=exclusive)

    @property
    def outputs(self) -> int:
        """One number, or one per grade or step between grades."""
        return self._outputs

    @property
    def sums_to_one(self) -> bool:
        """Whether outputs are probabilities of the grades."""
        return self._sums_to_one

    @property
    def weights(self) -> Mapping[str, int]:
        """Weight of each member."""
        return self.choice.weights

    def decide(
        self, seen: Mapping[str, Sequence[NDArray[np.float32]]], pixels: NDArray[np.uint8]
    ) -> ImagePrediction:
        """Return the grade or number of an image."""
        scale = self.choice.scale
        places = [
            scale.place_of_rows(np.asarray(np.mean(rows, axis=0, dtype=np.float64)))[:, None]
            for rows in seen.values()
        ]
        place = self.choice.blend(list(seen), places)
        decided = float(self.choice.decide(place)[0])
        grade = scale.grades[round(decided)] if scale.grades else ""
        return ImagePrediction(pixels, number=float(scale.number(place)[0]), grade=grade)

    def content(self) -> dict[str, Any]:
        """Return merge, members, scale and cut points, and what networks give."""
        from goldfold.ensemble.number_choice import describe_number_choice

        return {
            **describe_number_choice(self.choice),
            "outputs": self._outputs,
            "exclusive": self._sums_to_one,
        }

    def describe(self, prediction: ImagePrediction, dialect: Dialect) -> dict[str, Any]:
        """Return the number, and the grade if there are grades."""
        assert prediction.number is not None
        grade = {"grade": prediction.grade} if prediction.grade else {}
        return {"number": round(prediction.number, 6), **grade}

    def lines(self, facts: Mapping[str, Any]) -> list[str]:
        """Return grade and number, one line."""
        number = f"number {facts['number']:.4g}"
        return [f"grade {facts['grade']} ({number})" if "grade" in facts else number]

    def summary(self) -> str:
        """Return which grades, or which range."""
        scale = self.choice.scale
        if scale.grades:
            return f"one of the grades {', '.join(scale.grades)}"
        return f"a number from {scale.low:g} to {scale.high:g}"

    def measure_rows(self, measures: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        """Return the measures over all folds, one row each."""
        rows = [[name, value] for row in measures for name, value in row.items()]
        return [["out of fold", ""], *rows] if rows else []


def number_images_of(run: RunView, source: MemberSource) -> NumberImages:
    """Return the decision of a run; blended by rank, with quantiles to count ranks in."""
    from dataclasses import replace

    from goldfold.ensemble.decision_fields import require_members
    from goldfold.tasks.grade_ensemble import number_choice_of, number_members
    from goldfold.tasks.grade_training import sums_to_one

    form, choice = run.settings.competition, number_choice_of(run)
    if choice.merge == "rank":
        known = number_members(source, "out-of-fold", choice.scale, Rows(run))
        require_members(run.directory.ensemble, choice.weights, known.names)
        choice = replace(
            choice,
            quantiles={
                name: rank_reference(places)
                for name, places in zip(known.names, known.place, strict=True)
                if choice.weights[name]
            },
        )
    return NumberImages(choice, form.outputs, sums_to_one=sums_to_one(form))
