"""Blend and rule of one kind of mask, applied to what networks say of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.ensemble.blend import blend_maps, merge_maps, spread_weights
from goldfold.ensemble.calibration_curve import read_level_tables
from goldfold.ensemble.post_processing import PostProcessing, post_process
from goldfold.ensemble.presence import presence_level
from goldfold.ensemble.scale import member_scales
from goldfold.ensemble.threshold import Rule, apply_rule

Levels = NDArray[np.uint8]


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
        found = [one for name in names for one in maps[name]]
        tables = read_level_tables({"calibration": self.calibration})
        scales = member_scales(self.merge, names, self.level_counts, tables)
        if scales is None:
            levels = blend_maps(found, spread)
        else:
            owners = [scales[name] for name in names for _ in maps[name]]
            levels = merge_maps(found, spread, owners)
        told = [presences.get(name, ()) for name in names]
        level = presence_level([self.weights[name] for name in names], told)
        return levels, post_process(apply_rule(levels, self.rule, level), self.steps), level


def describe_choice(choice: MaskChoice) -> dict[str, Any]:
    """Return a choice as JSON values."""
    rule = choice.rule
    calibration = {"calibration": dict(choice.calibration)} if choice.calibration else {}
    return {
        "merge": choice.merge,
        "weights": dict(choice.weights),
        "rule": [rule.top, rule.min_area, rule.bottom, rule.gate],
        "post_processing": vars(choice.steps),
        "level_counts": dict(choice.level_counts),
        **calibration,
    }


def read_choice(content: Mapping[str, Any]) -> MaskChoice:
    """Return the choice that `describe_choice` made values of."""
    return MaskChoice(
        content["merge"],
        content["weights"],
        Rule(*content["rule"]),
        PostProcessing(**content["post_processing"]),
        content["level_counts"],
        content.get("calibration", {}),
    )
