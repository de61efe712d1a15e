"""Monotone curves from a member's prediction to a probability; `ensemble/calibration.py` fits them.

A curve is what ensemble.json and model.json hold, in readable numbers:

    isotonic    {"probability": [0.02, 0.4, 0.9], "calibrated": [0.01, 0.01, 0.7]}, linear between
    Platt       {"slope": 0.6, "intercept": -1.1}, on the logit
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_metric import CLIP
from goldfold.competitions.histogram import LEVELS

FloatArray = NDArray[np.float64]

MIDDLES: FloatArray = (np.arange(LEVELS) + 0.5) / LEVELS
"""Probability of each level of an 8-bit map, (256,)."""


def logits(probability: FloatArray) -> FloatArray:
    """Return the logits of probabilities, which are clipped as for the logarithmic loss."""
    held = np.clip(probability, CLIP, 1 - CLIP)
    values: FloatArray = np.log(held) - np.log1p(-held)
    return values


@dataclass(frozen=True)
class IsotonicCurve:
    """A rising function, linear between its knots.

    Attributes:
        probability: (K,) what a member predicts, rising.
        calibrated: (K,) the calibrated probability, never falling.
    """

    probability: tuple[float, ...]
    calibrated: tuple[float, ...]

    def __call__(self, probability: FloatArray) -> FloatArray:
        """Return the calibrated probabilities, of the same shape."""
        return np.interp(probability, self.probability, self.calibrated)


@dataclass(frozen=True)
class PlattCurve:
    """A sigmoid of the logit.

    Attributes:
        slope: at least 0, so that the curve never falls.
        intercept: logit where a member predicts one half.
    """

    slope: float
    intercept: float

    def __call__(self, probability: FloatArray) -> FloatArray:
        """Return the calibrated probabilities, of the same shape."""
        calibrated: FloatArray = 1 / (
            1 + np.exp(-self.slope * logits(probability) - self.intercept)
        )
        return calibrated


Curve = IsotonicCurve | PlattCurve


def describe_curve(curve: Curve) -> dict[str, Any]:
    """Return a curve as JSON values."""
    if isinstance(curve, PlattCurve):
        return {"slope": curve.slope, "intercept": curve.intercept}
    return {"probability": list(curve.probability), "calibrated": list(curve.calibrated)}


def read_curve(content: Mapping[str, Any]) -> Curve:
    """Return the curve that `describe_curve` made values of."""
    if "slope" in content:
        return PlattCurve(content["slope"], content["intercept"])
    return IsotonicCurve(tuple(content["probability"]), tuple(content["calibrated"]))
