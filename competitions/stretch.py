"""Which levels of an image become black and white where its content decides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.codestream import UnreadableError
from goldfold.competitions.window import Window

_CHUNK = 1 << 22  # pixels that are counted at once; NumPy widens them to 64 bits


def count_patterns(patterns: NDArray[np.unsignedinteger], size: int) -> NDArray[np.int64]:
    """Return how many pixels have each number below `size`, int64 (size,)."""
    counts = np.zeros(size, np.int64)
    flat = patterns.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        counts += np.bincount(flat[start : start + _CHUNK], minlength=size)
    return counts


def range_of_counts(
    values: NDArray[np.float64], counts: NDArray[np.int64], limits: tuple[float, float]
) -> tuple[float, float]:
    """Return the values at two percentiles of the pixels.

    The value at p % is the lowest that at least p % of the pixels do not exceed. Where both are
    equal, as in an image that is almost empty, the lowest and the highest value are returned.

    Args:
        values: (N,) values, in any order.
        counts: (N,) pixels that have each value, some of them not 0.
        limits: two percentages.

    >>> range_of_counts(np.arange(5.0), np.array([1, 50, 30, 18, 1]), (1.5, 98.5))
    (1.0, 3.0)
    """
    present = np.flatnonzero(counts)
    order = present[np.argsort(values[present], kind="stable")]
    ordered, reached = values[order], np.cumsum(counts[order])
    goals = np.array(limits) / 100 * reached[-1]
    places = np.minimum(np.searchsorted(reached, goals), order.size - 1)
    low, high = ordered[places]
    if low == high:
        low, high = ordered[0], ordered[-1]
    return float(low), float(high)


def range_of_values(values: NDArray[Any], limits: tuple[float, float]) -> tuple[float, float]:
    """Return the values at two percentiles, as `range_of_counts`; NaN and infinity do not count.

    Raises:
        UnreadableError: no value is finite.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise UnreadableError("none of its values is a finite number")
    low, high = np.percentile(finite, limits, method="inverted_cdf")
    if low == high:
        low, high = finite.min(), finite.max()
    return float(low), float(high)


def window_between(low: float, high: float) -> Window | None:
    """Return the window in which `low` is black and `high` white, None where they are equal."""
    if not high > low:
        return None
    return Window((low + high) / 2, high - low, "LINEAR_EXACT")


def spread(levels: NDArray[Any], low: float, high: float, most: int) -> NDArray[Any]:
    """Return levels between `low` and `high` spread over 0 to `most`, uint8 or uint16.

    All are 0 where `low` and `high` are equal.
    """
    small = levels.dtype.itemsize <= 2 or levels.dtype == np.float32
    wide = levels.astype(np.float32 if small else np.float64)
    kind = wide.dtype.type
    factor = kind(most / (high - low if high > low else 1))
    with np.errstate(invalid="ignore", over="ignore"):  # NaN, which becomes 0
        above = np.clip(wide, kind(low), kind(high)) - kind(low)
        rounded = np.rint(np.nan_to_num(above * factor))
    return np.asarray(rounded, np.uint8 if most == 255 else np.uint16)
