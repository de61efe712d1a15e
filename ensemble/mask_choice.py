"""Blend and rule of one kind of mask: its one form on disk, its one reader, and what it decides.

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
from goldfold.competitions.histogram import LEVELS
from goldfold.ensemble.blend import blend_maps, merge_maps, spread_weights
from goldfold.ensemble.decision_fields import (
    AGAIN,
    MOST_MEMBERS,
    Counts,
    LevelAndProbability,
    Pixels,
    Steps,
    Weight,
    Words,
    weight_problems,
)
from goldfold.ensemble.fitted_fields import LevelCalibration
from goldfold.ensemble.post_processing import PostProcessing, post_process
from goldfold.ensemble.presence import presence_level
from goldfold.ensemble.probability_scale import Scale, member_scales
from goldfold.ensemble.threshold import Rule, apply_rule
from goldfold.errors import InputError
from goldfold.files import read_json
from goldfold.settings_files import Strict
from goldfold.vocabulary import MemberMerge

Levels = NDArray[np.uint8]


class MemberOfMask(Strict):
    """Name and weight of a member; pixels by level where maps are merged by rank."""

    name: Words
    weight: Weight
    level_counts: Counts | None = None


class RuleOnDisk(Strict):
    """Thresholds, as `describe_rule` writes them."""

    top: LevelAndProbability
    min_area_px: Pixels
    bottom: LevelAndProbability
    presence_gate: LevelAndProbability = LevelAndProbability(level=0, probability=0)


class MaskDecision(Strict):
    """A `MaskChoice` on disk."""

    merge: MemberMerge = "mean"
    members: Annotated[list[MemberOfMask], Field(max_length=MOST_MEMBERS)]
    calibration: LevelCalibration | None = None
    rule: RuleOnDisk
    post_processing: Steps = Steps()

    @model_validator(mode="after")
    def _can_be_blended(self) -> Self:
        weights = {member.name: member.weight for member in self.members}
        problems = weight_problems(weights, [member.name for member in self.members])
        problems += [
            f"member {member.name} lacks level_counts to merge by rank"
            for member in self.members
            if self.merge == "rank" and member.weight and member.level_counts is None
        ]
        if self.calibration is not None:
            problems += [
                f"member {member.name} lacks its calibration"
                for member in self.members
                if member.weight and member.name not in self.calibration.members
            ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


@dataclass(frozen=True)
class MaskChoice:
    """What was chosen for the masks of a class, or for the only mask of an image.

    Attributes:
        merge: on what maps are averaged.
        weights: by member; those of weight 0 are left out.
        rule: thresholds.
        steps: after the thresholds.
        level_counts: by member, pixels by level, where maps are averaged by rank.
        calibration: its way, and by member the calibrated probability of each level; empty without.
    """

    merge: str
    weights: Mapping[str, int]
    rule: Rule
    steps: PostProcessing
    level_counts: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scales(self) -> dict[str, Scale] | None:
        """The scale on which each member is averaged, None for the plain mean."""
        tables = self.calibration.get("members", {})
        known = [
            name
            for name in self.weights
            if (self.merge != "rank" or name in self.level_counts)
            and (not tables or name in tables)
        ]
        return member_scales(self.merge, known, self.level_counts, tables)

    def decide(
        self, maps: Mapping[str, Sequence[Levels]], presences: Mapping[str, Sequence[float]]
    ) -> tuple[Levels, Levels, int | None]:
        """Return the blended map (H, W), its mask of 0 and 1, and the presence level.

        Args:
            maps: by member, of each of its trainings, uint8 (H, W).
            presences: by member, of each training with such a head; empty without.
        """
        names = [name for name in maps if self.weights.get(name, 0)]
        spread = spread_weights([self.weights[n] for n in names], [len(maps[n]) for n in names])
        of_trainings = [levels for name in names for levels in maps[name]]
        scales = self.scales
        if scales is None:
            blended = blend_maps(of_trainings, spread)
        else:
            owners = [scales[name] for name in names for _ in maps[name]]
            blended = merge_maps(of_trainings, spread, owners)
        told = [presences.get(name, ()) for name in names]
        presence = presence_level([self.weights[name] for name in names], told)
        mask = post_process(apply_rule(blended, self.rule, presence), self.steps)
        return blended, mask, presence


def describe_rule(rule: Rule) -> dict[str, Any]:
    """Return a rule as levels and as probabilities.

    A pixel counts when its level is above `level`, that is when its probability is at least
    `probability`; at level 255 none does.

    >>> describe_rule(Rule(top=191, min_area=50, bottom=127))["bottom"]
    {'level': 127, 'probability': 0.5}
    """
    return {
        "top": {"level": rule.top, "probability": rule.top_probability},
        "min_area_px": rule.min_area,
        "bottom": {"level": rule.bottom, "probability": rule.bottom_probability},
        "presence_gate": {"level": rule.gate, "probability": rule.gate / LEVELS},
    }


def describe_choice(choice: MaskChoice) -> dict[str, Any]:
    """Return a choice as JSON values, in the form of `MaskDecision`."""
    members = []
    for name, weight in choice.weights.items():
        member: dict[str, Any] = {"name": name, "weight": weight}
        if name in choice.level_counts:
            member["level_counts"] = list(choice.level_counts[name])
        members.append(member)
    calibration = {"calibration": dict(choice.calibration)} if choice.calibration else {}
    return {
        "merge": choice.merge,
        "members": members,
        **calibration,
        "rule": describe_rule(choice.rule),
        "post_processing": vars(choice.steps),
    }


def check_choice(content: Any, source: Path, remedy: str) -> MaskChoice:
    """Return the choice that `describe_choice` made values of, from an untrusted file.

    Raises:
        InputError: lists everything that does not follow the form.
    """
    return _choice_of(check_values(content, MaskDecision, source, remedy))


def read_choice(path: Path, of_class: str = "") -> MaskChoice:
    """Return what an ensemble.json decides on masks.

    Args:
        path: of ensemble.json.
        of_class: which class, where an image has several masks.

    Raises:
        InputError: the file is missing, does not know the class, or is not whole.
    """
    content = read_json(path)
    if of_class:
        try:
            content = content["classes"][of_class]
        except (KeyError, TypeError):
            raise InputError(f"{path} knows no class {of_class!r}. {AGAIN}") from None
    return _choice_of(check_known(content, MaskDecision, path, AGAIN))


def _choice_of(decision: MaskDecision) -> MaskChoice:
    rule = decision.rule
    return MaskChoice(
        decision.merge,
        {member.name: member.weight for member in decision.members},
        Rule(rule.top.level, rule.min_area_px, rule.bottom.level, rule.presence_gate.level),
        PostProcessing(**decision.post_processing.model_dump()),
        {
            member.name: member.level_counts
            for member in decision.members
            if member.level_counts is not None
        },
        {} if decision.calibration is None else decision.calibration.model_dump(),
    )
