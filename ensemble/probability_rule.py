"""The rule that turns a probability map into a mask, in probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.pixels import as_levels
from goldfold.ensemble.threshold import Rule, apply_rule
from goldfold.ensemble.threshold_choice import level_of
from goldfold.errors import InputError


@dataclass(frozen=True)
class ProbabilityRule:
    """Empty if fewer than `min_area` pixels reach `top`, else the pixels that reach `bottom`.

    Probabilities act on 8-bit levels, in steps of 1/256: a threshold is raised to the next
    multiple of 1/256, and 1 means that no pixel reaches it.

    Attributes:
        top: probability of the pixels that count towards min_area, above 0, at most 1.
        min_area: pixels of the map; 0 empties no mask.
        bottom: probability of the mask's pixels, above 0, at most 1.

    >>> ProbabilityRule(top=0.75, min_area=1, bottom=0.25).apply([[0.8, 0.3, 0.1]]).tolist()
    [[1, 1, 0]]
    """

    top: float
    min_area: int
    bottom: float

    def __post_init__(self) -> None:
        """Refuse thresholds that are no probabilities."""
        fit = all(0 < threshold <= 1 for threshold in (self.top, self.bottom))
        whole = isinstance(self.min_area, int | np.integer)
        if not fit or not whole or self.min_area < 0:
            raise InputError(
                "expected top and bottom as probabilities above 0 and at most 1, and min_area in "
                f"pixels, a whole number of 0 or more; found top {self.top}, min_area "
                f"{self.min_area}, bottom {self.bottom}. Divide levels of 0 to 255 by 256."
            )

    @classmethod
    def from_levels(cls, rule: Rule) -> ProbabilityRule:
        """Return the rule of thresholds that are levels of 8-bit maps.

        Raises:
            InputError: it has a presence gate.
        """
        if rule.gate:
            raise InputError("a rule with a presence gate cannot be written in probabilities.")
        return cls(rule.top_probability, rule.min_area, rule.bottom_probability)

    @property
    def levels(self) -> Rule:
        """Return the same rule for 8-bit maps."""
        return Rule(level_of(self.top), int(self.min_area), level_of(self.bottom))

    def apply(self, probability: Any) -> NDArray[np.uint8]:
        """Return the mask of a map, uint8 (H, W) of 0 and 1.

        Args:
            probability: (H, W), floats from 0 to 1 or uint8 levels.

        Raises:
            InputError: another shape or dtype, NaN, or values outside 0..1.
        """
        return apply_rule(as_levels(probability), self.levels)
