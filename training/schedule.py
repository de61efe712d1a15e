"""The learning rate as a function of the step."""

from __future__ import annotations

import math


def learning_rate_at(step: int, *, total: int, warmup: int, peak: float) -> float:
    """Return the learning rate of a step: a linear rise to `peak`, then half a cosine to zero.

    Args:
        step: optimizer step, from 0.
        total: steps of the whole stage.
        warmup: steps of the rise.
        peak: highest rate.

    Source: Loshchilov and Hutter, SGDR, 2017 (one period); warm-up of Goyal et al., 2017.

    >>> [round(learning_rate_at(s, total=6, warmup=2, peak=1.0), 3) for s in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    falling = max(total - warmup, 1)
    return peak * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / falling))
