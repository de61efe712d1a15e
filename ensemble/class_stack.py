"""A linear map from members' predictions to the classes; `ensemble/stacking.py` fits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_metric import CLIP
from goldfold.ensemble.calibration_curve import logits

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ClassStack:
    """A linear map on members' logits (`logistic`) or probabilities (`ridge`).

    Attributes:
        way: `logistic` or `ridge`.
        coefficients: (C, M, C): of the class that comes out, by member and class that it says.
        bias: (C,).
    """

    way: str
    coefficients: FloatArray
    bias: FloatArray

    @classmethod
    def equal(cls, way: str, members: int, classes: int) -> ClassStack:
        """Return the mean of the members."""
        coefficients = np.zeros((classes, members, classes))
        places = np.arange(classes)
        coefficients[places, :, places] = 1 / members
        return cls(way, coefficients, np.zeros(classes))

    @property
    def importance(self) -> FloatArray:
        """How much each member counts, (M,): the sum of its coefficients' absolute values."""
        total: FloatArray = np.abs(self.coefficients).sum(axis=(0, 2))
        return total

    def __call__(self, members: Sequence[FloatArray], *, exclusive: bool) -> FloatArray:
        """Return probabilities, float64 (N, C).

        Args:
            members: M arrays (N, C) of probabilities.
            exclusive: exactly one class an image; rows add up to one.
        """
        values = np.stack(members, axis=1)
        said = logits(values) if self.way == "logistic" else values
        linear: FloatArray = np.tile(self.bias, (len(said), 1))
        for member, place in np.ndindex(said.shape[1:]):  # one order, for one image as for many
            linear += said[:, member, place, None] * self.coefficients[:, member, place]
        if self.way == "ridge":
            shares = np.clip(linear, 0, 1)
            return (
                shares / np.maximum(shares.sum(axis=1, keepdims=True), CLIP)
                if exclusive
                else shares
            )
        if not exclusive:
            return np.asarray(1 / (1 + np.exp(-linear)))
        odds = np.exp(linear - linear.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def describe_stack(
    stack: ClassStack, members: Sequence[str], classes: Sequence[str]
) -> dict[str, Any]:
    """Return the map as JSON values: of each class its bias and, by member, what is not 0."""
    return {
        "way": stack.way,
        "classes": {
            name: {
                "bias": float(stack.bias[place]),
                "members": {
                    member: {
                        said: float(value)
                        for said, value in zip(classes, row, strict=True)
                        if value
                    }
                    for member, row in zip(members, stack.coefficients[place], strict=True)
                    if row.any()
                },
            }
            for place, name in enumerate(classes)
        },
    }


def read_stack(
    content: Mapping[str, Any], members: Sequence[str], classes: Sequence[str]
) -> ClassStack:
    """Return the map that `describe_stack` made values of."""
    by_class = [content["classes"][name] for name in classes]
    coefficients = [
        [[row["members"].get(member, {}).get(said, 0.0) for said in classes] for member in members]
        for row in by_class
    ]
    return ClassStack(
        content["way"], np.array(coefficients, float), np.array([row["bias"] for row in by_class])
    )
