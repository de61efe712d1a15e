"""The learning-rate range test: how high a rate may be before the loss gets worse."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from goldfold.errors import InputError

SMOOTHING = 0.9
"""Share of the running mean that a new loss leaves standing."""
DIVERGED = 4.0
"""The test ends once the smoothed loss is so many times its best."""
FIRST_STEPS = 5
"""Steps whose smoothed loss rests on too few losses to be the best, or the steepest."""
RULE = "the rate at which the smoothed loss falls fastest, over the logarithm of the rate"


@dataclass(frozen=True)
class RateRange:
    """The curve of a range test.

    Attributes:
        rates: of each step, rising.
        losses: of each step, as they were.
        smoothed: their exponential running mean, corrected for its beginning.
        suggestion: a highest learning rate, by `RULE`.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float


def rate_range(
    take_step: Callable[[float], float],
    *,
    lowest: float,
    highest: float,
    steps: int,
) -> RateRange:
    """Return the curve of the loss while the rate rises exponentially from step to step.

    Args:
        take_step: trains one step at a learning rate and returns its loss.
        lowest: first rate.
        highest: last rate, unless the loss has grown to `DIVERGED` times its best before.
        steps: at most so many.

    Raises:
        InputError: the rates do not rise, or the loss never falls.

    Source: Smith 2017, Cyclical Learning Rates for Training Neural Networks.
    """
    if not 0 < lowest < highest or steps <= 2 * FIRST_STEPS:
        raise InputError(
            f"expected 0 < lowest < highest and more than {2 * FIRST_STEPS} steps, found "
            f"{lowest:g}, {highest:g} and {steps}."
        )
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    mean = 0.0
    for step in range(steps):
        rate = lowest * (highest / lowest) ** (step / (steps - 1))
        loss = take_step(rate)
        if not math.isfinite(loss):
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        rates.append(rate)
        losses.append(loss)
        smoothed.append(mean / (1 - SMOOTHING ** (step + 1)))
        if step >= FIRST_STEPS and smoothed[-1] > DIVERGED * min(smoothed[FIRST_STEPS:]):
            break
    return RateRange(rates, losses, smoothed, _suggest(rates, smoothed))


def _suggest(rates: list[float], smoothed: list[float]) -> float:
    """Return the rate of the steepest fall before the smallest smoothed loss."""
    if len(rates) <= FIRST_STEPS + 2:
        raise InputError("the loss grew at once: even the lowest rate is too high. Lower --lowest.")
    slope = np.gradient(np.array(smoothed), np.log(rates))
    upto = FIRST_STEPS + int(np.argmin(smoothed[FIRST_STEPS:]))
    considered = slope[FIRST_STEPS : max(upto, FIRST_STEPS + 1)]
    if float(considered.min()) >= 0:
        raise InputError(
            "the loss never fell, so there is nothing to suggest. Take more --steps, or a lower "
            "--lowest."
        )
    return rates[FIRST_STEPS + int(np.argmin(considered))]
