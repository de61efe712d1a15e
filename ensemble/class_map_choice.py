"""Blend and least areas of the classes of pixels: their one form on disk, and their one reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from goldfold.checked_json import check_known, check_values
from goldfold.ensemble.blend import blend_maps, merge_maps, spread_weights
from goldfold.ensemble.class_map_rule import decide, most_likely
from goldfold.ensemble.decision_fields import (
    AGAIN,
    MOST_MEMBERS,
    Pixels,
    Weight,
    Words,
    weight_problems,
)
from goldfold.ensemble.probability_scale import Scale, make_scale
from goldfold.files import read_json
from goldfold.settings_files import Strict
from goldfold.vocabulary import ViewMerge

Levels = NDArray[np.uint8]
MOST_CLASSES = 255


class MemberOfClassMaps(Strict):
    """Name and weight of a member."""

    name: Words
    weight: Weight


class ClassMapDecision(Strict):
    """A `ClassMapChoice` on disk."""

    merge: ViewMerge
    members: Annotated[list[MemberOfClassMaps], Field(max_length=MOST_MEMBERS)]
    least_areas: Annotated[dict[Words, Pixels], Field(min_length=2, max_length=MOST_CLASSES)]

    @model_validator(mode="after")
    def _can_be_decided(self) -> Self:
        names = [member.name for member in self.members]
        problems = weight_problems({m.name: m.weight for m in self.members}, names)
        if not all(name.isprintable() for name in self.least_areas):
            problems.append("expected printable names of classes")
        if problems:
            raise ValueError("; ".join(problems))
        return self


@dataclass(frozen=True)
class ClassMapChoice:
    """What was chosen for the classes of pixels.

    Attributes:
        merge: on what maps are averaged.
        weights: by member; those of weight 0 are left out.
        least_areas: by class, in pixels; in an image with fewer the class is dropped.
    """

    merge: str
    weights: Mapping[str, int]
    least_areas: Mapping[str, int]

    @property
    def scales(self) -> dict[str, Scale] | None:
        """The scale on which each member is averaged, None for the plain mean."""
        if self.merge == "mean":
            return None
        return {name: make_scale(self.merge) for name in self.weights}

    def blend(self, maps: Mapping[str, Sequence[Levels]]) -> Levels:
        """Return the blend of the maps of one class, uint8 (H, W).

        Args:
            maps: by member, of each of its trainings, uint8 (H, W).
        """
        names = [name for name in maps if self.weights.get(name, 0)]
        spread = spread_weights([self.weights[n] for n in names], [len(maps[n]) for n in names])
        of_trainings = [levels for name in names for levels in maps[name]]
        scales = self.scales
        if scales is None:
            return blend_maps(of_trainings, spread)
        return merge_maps(
            of_trainings, spread, [scales[name] for name in names for _ in maps[name]]
        )

    def decide(self, levels: Levels, classes: Sequence[str]) -> Levels:
        """Return the class of each pixel, uint8 (H, W).

        Args:
            levels: blended maps, uint8 (C, H, W).
            classes: C names, in this order.
        """
        return decide(*most_likely(levels), [self.least_areas[name] for name in classes])


def describe_class_map_choice(choice: ClassMapChoice) -> dict[str, Any]:
    """Return a choice as JSON values, in the form of `ClassMapDecision`."""
    return {
        "merge": choice.merge,
        "members": [{"name": name, "weight": weight} for name, weight in choice.weights.items()],
        "least_areas": dict(choice.least_areas),
    }


def check_class_map_choice(content: Any, source: Path, remedy: str) -> ClassMapChoice:
    """Return the choice that `describe_class_map_choice` made values of, from an untrusted file.

    Raises:
        InputError: lists everything that does not follow the form.
    """
    return _choice_of(check_values(content, ClassMapDecision, source, remedy))


def read_class_map_choice(path: Path) -> ClassMapChoice:
    """Return what an ensemble.json decides on the classes of pixels.

    Raises:
        InputError: the file is missing, or not whole.
    """
    return _choice_of(check_known(read_json(path), ClassMapDecision, path, AGAIN))


def _choice_of(decision: ClassMapDecision) -> ClassMapChoice:
    return ClassMapChoice(
        decision.merge,
        {member.name: member.weight for member in decision.members},
        dict(decision.least_areas),
    )
