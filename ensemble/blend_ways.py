"""The ways to blend that are compared: merge, weights and calibration together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from goldfold.errors import InputError
from goldfold.vocabulary import STACKED_ON, CalibrationCurve, Stacking, names_of

CALIBRATED_MERGES = ("mean", "logit")
"""Merges that are compared on calibrated members, with equal weights."""


@dataclass(frozen=True)
class BlendWay:
    """One way to blend.

    Attributes:
        merge: the kind of mean over members.
        weights: how their weights are chosen.
        calibration: of each member before it is merged.
    """

    merge: str
    weights: str = "equal"
    calibration: str = "none"


def blend_ways(
    members: int, merges: Sequence[str], weights: Sequence[str], *, calibrate_alone: bool
) -> list[BlendWay]:
    """Return the ways that are compared, the plain mean first.

    Every merge is tried with every search of weights, and each stacking with its own merge.
    Calibrated members are merged with equal weights or stacked; searching weights as well would
    multiply the time for combinations that hardly differ.

    Args:
        members: how many there are.
        merges: names of merges, the first one for a single member.
        weights: names of searches, likewise.
        calibrate_alone: also try calibrating a single member. For masks that changes nothing,
            because thresholds follow any monotone map.
    """
    curves = names_of(CalibrationCurve)
    if members == 1:
        alone = BlendWay(merges[0], weights[0])
        if not calibrate_alone:
            return [alone]
        return [alone, *(BlendWay(merges[0], weights[0], curve) for curve in curves)]
    stacked = [(STACKED_ON[way], way) for way in names_of(Stacking) if STACKED_ON[way] in merges]
    plain = [BlendWay(merge, way) for merge in merges for way in weights]
    calibrated = [(merge, "equal") for merge in CALIBRATED_MERGES if merge in merges]
    return [
        *plain,
        *(BlendWay(*pair) for pair in stacked),
        *(BlendWay(*pair, curve) for curve in curves for pair in (*calibrated, *stacked)),
    ]


def require_several(way: object, members: Sequence[str]) -> None:
    """Refuse to stack a single member.

    Raises:
        InputError: a single member would be stacked.
    """
    if way in names_of(Stacking) and len(members) < 2:
        raise InputError(
            f'ensemble.weights = "{way}" compares members, but there is only '
            f'{members[0]}. Add a model or a run (--with), or set ensemble.weights = "equal"; '
            'ensemble.calibration = "platt" is the regression on a single member.'
        )
