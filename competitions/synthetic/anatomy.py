"""The anatomy of a chest, which all images of a patient share.

Lengths are fractions of the image side; x runs right, y down; the midline of the chest is at 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Sex = Literal["F", "M"]

# Outline of a lung, from the apex along the chest wall: (distance from the midline, y).
_OUTLINE = np.array(
    [
        (0.105, 0.105),
        (0.190, 0.115),
        (0.265, 0.195),
        (0.325, 0.340),
        (0.360, 0.520),
        (0.378, 0.680),
        (0.385, 0.775),
        (0.330, 0.735),
        (0.250, 0.685),
        (0.160, 0.670),
        (0.075, 0.705),
        (0.050, 0.620),
        (0.062, 0.450),
        (0.060, 0.300),
        (0.045, 0.170),
    ]
)
_TOP, _BOTTOM = 0.105, 0.775
_CHAIKIN_ROUNDS = 5
_OLDEST = 90


@dataclass(frozen=True)
class Anatomy:
    """The chest of one patient."""

    sex: Sex
    age: int
    width: float
    """Scale of the horizontal distances from the midline."""
    top: float
    """y of the apices of the lungs."""
    bottom: float
    """y of the lowest point of the lungs at full inspiration."""
    left_width: float
    """Scale of the width of the left lung (right half of the image), which the heart narrows."""
    heart: float
    """Half the width of the heart."""
    ribs: float
    """Distance between ribs."""
    rib_phase: float
    """Position of the first rib, in rib distances."""
    bulk: float
    """Soft tissue over the lungs, 0 to 1."""
    spine: float
    """Horizontal shift of the midline."""
    vessel_seed: int
    """Seed of the vessel tree."""
    ill_side: int
    """Side of the first pneumothorax: -1 = left half of the image, 1 = right half."""


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """Return a random patient."""
    return Anatomy(
        sex="M" if rng.random() < 0.55 else "F",
        age=int(np.clip(round(rng.normal(48, 17)), 5, _OLDEST)),
        width=float(rng.uniform(0.94, 1.10)),
        top=float(rng.uniform(0.09, 0.16)),
        bottom=float(rng.uniform(0.74, 0.86)),
        left_width=float(rng.uniform(0.92, 1.0)),
        heart=float(rng.uniform(0.115, 0.165)),
        ribs=float(rng.uniform(0.062, 0.076)),
        rib_phase=float(rng.uniform(0, 1)),
        bulk=float(rng.beta(1.6, 2.2)),
        spine=float(rng.normal(0, 0.008)),
        vessel_seed=int(rng.integers(1 << 62)),
        ill_side=int(rng.choice((-1, 1))),
    )


def lung_outline(anatomy: Anatomy, side: int, breath: float) -> FloatArray:
    """Return the outline of one lung, shape (K, 2): (distance from the midline, y).

    Args:
        anatomy: the patient.
        side: -1 for the lung in the left half of the image, 1 for the other.
        breath: depth of inspiration, 1 = full; the diaphragm is higher below 1.
    """
    points = _OUTLINE.copy()
    points[:, 0] *= anatomy.width * (anatomy.left_width if side > 0 else 1.0)
    bottom = anatomy.top + (anatomy.bottom - anatomy.top) * breath
    if side < 0:
        bottom -= 0.02  # the liver lifts the right half of the diaphragm
    points[:, 1] = anatomy.top + (points[:, 1] - _TOP) / (_BOTTOM - _TOP) * (bottom - anatomy.top)
    for _ in range(_CHAIKIN_ROUNDS):
        after = np.roll(points, -1, axis=0)
        cut = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], axis=1)
        points = cut.reshape(-1, 2)
    return points
