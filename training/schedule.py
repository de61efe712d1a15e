"""The learning rate as a fraction of the highest one, a function of how far a stage has come."""

from __future__ import annotations

import math
from collections.abc import Sequence

from goldfold.errors import InputError
from goldfold.vocabulary import RateScheduleName, names_of

ONE_CYCLE_START = 1 / 25
"""one-cycle: the first rate, as a fraction of the highest."""


def rate_at(
    name: RateScheduleName,
    step: int,
    *,
    total: int,
    warmup: int = 0,
    floor: float = 0.0,
    period: float = 10.0,
    growth: float = 1.0,
    rise: float = 0.3,
    power: float = 0.9,
) -> float:
    """Return the rate of a step, 0 to 1: a linear warm-up, then what the name says.

    Args:
        name: `cosine` falls once to `floor`; `warm-restarts` falls in periods; `one-cycle` rises
            from a 25th and falls; `polynomial` is (1 - done) ** power; `constant` and `plateau`
            stay (the cuts of a plateau follow from scores: `plateau_factor`).
        step: optimizer step, from 0.
        total: steps of the whole stage.
        warmup: steps of the rise to 1 before all else.
        floor: smallest rate.
        period: warm-restarts: steps of the first fall.
        growth: warm-restarts: how much longer each next fall is.
        rise: one-cycle: share of the stage in which the rate rises.
        power: of polynomial.

    Source: Loshchilov and Hutter 2017, SGDR (cosine, warm-restarts); Smith and Topin 2018,
    Super-Convergence (one-cycle); Chen et al. 2017, DeepLab (polynomial); Goyal et al. 2017
    (warm-up).

    >>> [round(rate_at("cosine", s, total=6, warmup=2), 3) for s in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    if step < warmup:
        return (step + 1) / warmup
    step, total = step - warmup, max(total - warmup, 1)
    if name == "warm-restarts":
        return _cosine(_place_in_period(step, period, growth), floor)
    return _falling(name, min(step / total, 1.0), floor=floor, rise=rise, power=power)


def _falling(name: str, done: float, *, floor: float, rise: float, power: float) -> float:
    """Return the rate of a schedule without periods when a share of the stage is done."""
    match name:
        case "cosine":
            return _cosine(done, floor)
        case "one-cycle" if done < rise:
            return 1 + (ONE_CYCLE_START - 1) * (1 + math.cos(math.pi * done / rise)) / 2
        case "one-cycle":
            return _cosine((done - rise) / (1 - rise), floor)
        case "polynomial":
            return floor + (1 - floor) * math.pow(1 - done, power)
        case "constant" | "plateau":
            return 1.0
    raise InputError(
        f"unknown learning rate schedule {name!r}: choose one of "
        f"{', '.join(names_of(RateScheduleName))}."
    )


def plateau_factor(scores: Sequence[float | None], *, patience: int, factor: float) -> float:
    """Return what the rate is multiplied by after these validation scores.

    It is cut each time `patience` validations have passed without a better score than the best
    before; then counting begins again.

    Args:
        scores: an epoch each, None where it was not validated; higher is better.
        patience: validations.
        factor: of one cut, 0 to 1.

    >>> plateau_factor([0.5, 0.4, 0.4, 0.4], patience=2, factor=0.5)
    0.5
    """
    best, waited, result = -math.inf, 0, 1.0
    for score in scores:
        if score is None:
            continue
        if score > best:
            best, waited = score, 0
            continue
        waited += 1
        if waited >= patience:
            result, waited = result * factor, 0
    return result


def _cosine(done: float, floor: float) -> float:
    return floor + (1 - floor) * 0.5 * (1.0 + math.cos(math.pi * done))


def _place_in_period(step: float, period: float, growth: float) -> float:
    """Return how far, 0 to 1, the period has come that the step is in."""
    begun, length = 0.0, max(period, 1e-9)
    while step >= begun + length:
        begun += length
        length *= growth
    return (step - begun) / length
