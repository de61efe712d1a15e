"""How members' probabilities of classes become one: calibrated, then merged or stacked.

ensemble.json and model.json hold it in the same form; `read_fitted_blend` is the one reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_metric import CLIP
from goldfold.ensemble.calibration_curve import Curve, describe_curve, read_curve
from goldfold.ensemble.class_merge import merge_probabilities
from goldfold.ensemble.class_stack import ClassStack, describe_stack, read_stack

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FittedBlend:
    """What was chosen to blend M members that predict C classes.

    Attributes:
        merge: on what probabilities are averaged.
        weights: (M,) whole numbers; of a stack how much each member counts, in percent.
        exclusive: exactly one class an image.
        curves: of each member the curve of each class, M times C; empty without calibration.
        stack: linear map in place of the weights, None without.
    """

    merge: str
    weights: tuple[int, ...]
    exclusive: bool
    curves: tuple[tuple[Curve, ...], ...] = ()
    stack: ClassStack | None = None

    @property
    def name(self) -> str:
        """Text: the merge, or the stacking, and whether members are calibrated."""
        merge = self.merge if self.stack is None else f"{self.stack.way} on {self.merge}"
        return f"{merge} of calibrated members" if self.curves else merge

    def __call__(
        self, members: Sequence[FloatArray], references: Sequence[FloatArray] | None = None
    ) -> FloatArray:
        """Return the blended probabilities, float64 (N, C).

        Args:
            members: M arrays (N, C).
            references: of `merge_probabilities`.
        """
        if self.curves:
            pairs = zip(members, self.curves, strict=True)
            members = [calibrated(*pair, exclusive=self.exclusive) for pair in pairs]
        if self.stack is not None:
            return self.stack(members, exclusive=self.exclusive)
        return merge_probabilities(
            members, self.weights, self.merge, exclusive=self.exclusive, references=references
        )


def calibrated(probability: FloatArray, curves: Sequence[Curve], *, exclusive: bool) -> FloatArray:
    """Return a member's calibrated probabilities, (N, C); exclusive rows are scaled to one."""
    columns = [curve(probability[:, place]) for place, curve in enumerate(curves)]
    rows = np.stack(columns, axis=1).astype(np.float64)
    if not exclusive:
        return rows
    scaled: FloatArray = rows / np.maximum(rows.sum(axis=1, keepdims=True), CLIP)
    return scaled


def describe_fitted_blend(
    blend: FittedBlend, way: str, members: Sequence[str], classes: Sequence[str]
) -> dict[str, Any]:
    """Return what was fitted as JSON values, nothing where nothing was.

    Args:
        blend: how members are blended.
        way: of the calibration.
        members: M names.
        classes: C names.
    """
    content: dict[str, Any] = {}
    if blend.curves:
        by_member = {
            member: {
                name: describe_curve(curve) for name, curve in zip(classes, curves, strict=True)
            }
            for member, curves in zip(members, blend.curves, strict=True)
        }
        content["calibration"] = {"way": way, "members": by_member}
    if blend.stack is not None:
        content["stacking"] = describe_stack(blend.stack, members, classes)
    return content


def read_fitted_blend(
    content: Mapping[str, Any], weights: Mapping[str, int], classes: Sequence[str]
) -> FittedBlend:
    """Return how members are blended.

    Args:
        content: of ensemble.json or of a model file.
        weights: by member, in the order in which they will be given.
        classes: C names, in the order of the probabilities.
    """
    by_member = content.get("calibration", {}).get("members", {})
    curves = tuple(
        tuple(read_curve(by_member[member][name]) for name in classes)
        for member in (weights if by_member else ())
    )
    stacking = content.get("stacking")
    stack = None if stacking is None else read_stack(stacking, list(weights), classes)
    return FittedBlend(
        content["merge"], tuple(weights.values()), bool(content["exclusive"]), curves, stack
    )
