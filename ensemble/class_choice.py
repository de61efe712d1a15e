"""Blend and thresholds of class labels: their one form on disk, their one reader, what they decide.

ensemble.json and model.json both hold it in this form; the former says more beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from goldfold.checked_json import check_known, check_values
from goldfold.competitions.class_metric import CLIP, decide
from goldfold.ensemble.decision_fields import (
    AGAIN,
    MOST_MEMBERS,
    MemberOfRows,
    Words,
    describe_members,
    quantiles_of,
    weight_problems,
)
from goldfold.ensemble.fitted_blend import FittedBlend, read_fitted_blend
from goldfold.ensemble.fitted_fields import ClassCalibration, Stacking, class_fit_problems
from goldfold.files import read_json
from goldfold.settings_files import Strict
from goldfold.vocabulary import MemberMerge

FloatArray = NDArray[np.float64]
Threshold = Annotated[float, Field(ge=0, le=1 + 2 * CLIP)]
"""Of a probability; just above 1 says no to all images (see `best_threshold`)."""


class ClassDecision(Strict):
    """A `ClassChoice` on disk."""

    merge: MemberMerge
    members: Annotated[list[MemberOfRows], Field(max_length=MOST_MEMBERS)]
    classes: Annotated[list[Words], Field(min_length=1, max_length=1000)]
    exclusive: bool
    thresholds: dict[str, Threshold]
    calibration: ClassCalibration | None = None
    stacking: Stacking | None = None

    @model_validator(mode="after")
    def _can_be_decided(self) -> Self:
        names = [member.name for member in self.members]
        problems = weight_problems({m.name: m.weight for m in self.members}, names)
        classes = self.classes
        if not all(name.isprintable() for name in classes) or len(set(classes)) != len(classes):
            problems.append("expected printable names of classes, each once")
        if set(self.thresholds) != set(classes):
            problems.append(
                f"thresholds of {', '.join(self.thresholds) or 'no class'} for the classes "
                f"{', '.join(classes)}"
            )
        problems += [
            f"the quantiles of member {member.name} are not of {len(classes)} classes"
            for member in self.members
            if any(len(row) != len(classes) for row in member.quantiles or [])
        ]
        weighed = [member.name for member in self.members if member.weight]
        problems += class_fit_problems(self.calibration, self.stacking, weighed, classes)
        if problems:
            raise ValueError("; ".join(problems))
        return self


@dataclass(frozen=True)
class ClassChoice:
    """What was chosen for the classes of images.

    Attributes:
        merge: on what probabilities are averaged.
        weights: by member.
        classes: C names, in the order of the networks' outputs.
        exclusive: an image has exactly one of them.
        thresholds: (C,) of probabilities.
        quantiles: by member, (Q, C) of its out-of-fold probabilities, in an exported model whose
            merge is `rank`.
        fitted: calibration and stacking as JSON values, as `describe_fitted_blend`.
    """

    merge: str
    weights: Mapping[str, int]
    classes: tuple[str, ...]
    exclusive: bool
    thresholds: tuple[float, ...]
    quantiles: Mapping[str, FloatArray] = field(default_factory=dict)
    fitted: Mapping[str, Any] = field(default_factory=dict)

    def blend_of(self, names: Sequence[str]) -> FittedBlend:
        """Return how some of the members, in this order, are blended."""
        content = {"merge": self.merge, "exclusive": self.exclusive, **self.fitted}
        weights = {name: self.weights[name] for name in names}
        return read_fitted_blend(content, weights, self.classes)

    def blend(
        self,
        names: Sequence[str],
        probability: Sequence[FloatArray],
        references: Sequence[FloatArray] | None = None,
    ) -> FloatArray:
        """Return the blended probabilities, float64 (N, C).

        Args:
            names: of M members.
            probability: of each, (N, C).
            references: of each, out-of-fold probabilities in which ranks are counted; `quantiles`
                or the probabilities themselves unless given.
        """
        if references is None and self.quantiles:
            references = [self.quantiles[name] for name in names]
        return self.blend_of(names)(probability, references if self.merge == "rank" else None)

    def decide(self, probability: FloatArray) -> NDArray[np.bool_]:
        """Return which classes images have, bool (N, C), from blended probabilities (N, C)."""
        return decide(probability, self.exclusive, list(self.thresholds))


def describe_class_choice(choice: ClassChoice) -> dict[str, Any]:
    """Return a choice as JSON values, in the form of `ClassDecision`."""
    return {
        "merge": choice.merge,
        "members": describe_members(choice.weights, choice.quantiles),
        "classes": list(choice.classes),
        "exclusive": choice.exclusive,
        "thresholds": dict(zip(choice.classes, choice.thresholds, strict=True)),
        **choice.fitted,
    }


def check_class_choice(content: Any, source: Path, remedy: str) -> ClassChoice:
    """Return the choice that `describe_class_choice` made values of, from an untrusted file.

    Raises:
        InputError: lists everything that does not follow the form.
    """
    return _choice_of(check_values(content, ClassDecision, source, remedy))


def read_class_choice(path: Path) -> ClassChoice:
    """Return what an ensemble.json decides on classes.

    Raises:
        InputError: the file is missing, or not whole.
    """
    return _choice_of(check_known(read_json(path), ClassDecision, path, AGAIN))


def _choice_of(decision: ClassDecision) -> ClassChoice:
    return ClassChoice(
        decision.merge,
        {member.name: member.weight for member in decision.members},
        tuple(decision.classes),
        decision.exclusive,
        tuple(decision.thresholds[name] for name in decision.classes),
        quantiles_of(decision.members),
        decision.model_dump(include={"calibration", "stacking"}, exclude_none=True),
    )
