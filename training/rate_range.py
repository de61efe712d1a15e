"""The learning-rate range test: how high a rate may be before the loss gets worse."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from goldfold.errors import InputError

SMOOTHING = 0.85
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
        smoothed: running means from both ends, averaged, so that they do not lag behind; losses
            above those of the first steps count as those.
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
    mean, best = 0.0, math.inf
    for step in range(steps):
        rate = lowest * (highest / lowest) ** (step / (steps - 1))
        loss = take_step(rate)
        if not math.isfinite(loss):
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        rates.append(rate)
        losses.append(loss)
        running = mean / (1 - SMOOTHING ** (step + 1))
        best = min(best, running) if step >= FIRST_STEPS else best
        if running > DIVERGED * best:
            break
    smoothed = _smooth(losses)
    return RateRange(rates, losses, smoothed, _suggest(rates, smoothed))


def _smooth(losses: list[float]) -> list[float]:
    """Return the mean of a running mean from the left and one from the right."""
    ceiling = max(losses[:FIRST_STEPS], default=0.0)
    capped = [min(loss, ceiling) for loss in losses]
    both = zip(_running_mean(capped), reversed(_running_mean(capped[::-1])), strict=True)
    return [(left + right) / 2 for left, right in both]


def _running_mean(losses: list[float]) -> list[float]:
    """Return the exponential running mean, corrected for its beginning."""
    return list(pd.Series(losses, dtype=float).ewm(alpha=1 - SMOOTHING).mean())


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
