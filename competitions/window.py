"""From stored DICOM values to 8-bit gray: modality LUT, VOI window, MONOCHROME1 inversion.

Stored values have at most 16 bits, so the whole chain is one lookup table: it is worked out once
for every value that the bits can hold, in float64, and rounded once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.codestream import LEAVE_OUT, UnreadableError

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_REMEDY = f"Correct the window in the header, or {LEAVE_OUT}."


@dataclass(frozen=True)
class LookupTable:
    """`levels[v - first]` of `bits` bits for a value v; outside, the nearest entry."""

    first: int
    bits: int
    levels: tuple[int, ...]

    def look_up(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the level of each value as float64, in the shape of `values`."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.levels) - 1)
        levels = np.array(self.levels, dtype=np.float64)
        found: NDArray[np.float64] = levels[index.astype(np.int64)]
        return found


@dataclass(frozen=True)
class Window:
    """A VOI window in values after the modality LUT."""

    center: float
    width: float
    function: str = "LINEAR"

    def __post_init__(self) -> None:
        if self.function not in _FUNCTIONS:
            raise UnreadableError(
                f"its VOI LUT function is {self.function!r}, one of {', '.join(_FUNCTIONS)} "
                "was expected",
                _REMEDY,
            )
        wide_enough = self.width >= 1 if self.function == "LINEAR" else self.width > 0
        if not (wide_enough and math.isfinite(self.width) and math.isfinite(self.center)):
            expected = "of 1 or more" if self.function == "LINEAR" else "above 0"
            raise UnreadableError(
                f"its window has center {self.center:g} and width {self.width:g}, a width "
                f"{expected} was expected",
                _REMEDY,
            )

    def fraction(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the brightness, 0 to 1, of each value.

        Source: DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3.
        """
        if self.function == "SIGMOID":
            exponent = np.clip(-4 * (values - self.center) / self.width, -100, 100)
            return 1 / (1 + np.exp(exponent))
        half = 0.5 if self.function == "LINEAR" else 0.0
        center, width = self.center - half, self.width - 2 * half
        if width == 0:
            return (values > center).astype(np.float64)
        return np.clip((values - center) / width + 0.5, 0, 1)


@dataclass(frozen=True)
class GrayScale:
    """How the stored values of one image are to be seen.

    `bits` and `signed` describe the stored values. The modality LUT stands in place of slope and
    intercept, the VOI LUT in place of the windows. Of several windows the first one counts:
    they are alternatives, the first being the default.
    """

    bits: int
    signed: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    modality: LookupTable | None = None
    voi: LookupTable | None = None
    windows: tuple[Window, ...] = ()
    inverted: bool = False


@lru_cache(maxsize=64)
def gray_table(scale: GrayScale) -> NDArray[np.uint8]:
    """Return the gray level of every bit pattern: (2 ** bits,) uint8, read-only, 0 = black.

    Without window and VOI LUT, the values that the bits can hold are spread over 0 to 255,
    whatever values the image has; so two images of a competition stay comparable.

    >>> gray_table(GrayScale(bits=2)).tolist()
    [0, 85, 170, 255]
    >>> gray_table(GrayScale(bits=2, inverted=True)).tolist()
    [255, 170, 85, 0]
    """
    values, low, high = _modality_values(scale)
    if scale.voi is not None:
        fraction = scale.voi.look_up(values) / (2**scale.voi.bits - 1)
    elif scale.windows:
        fraction = scale.windows[0].fraction(values)
    else:
        fraction = (values - low) / ((high - low) or 1.0)
    levels = np.floor(np.clip(fraction, 0, 1) * 255 + 0.5).astype(np.uint8)
    table: NDArray[np.uint8] = 255 - levels if scale.inverted else levels
    table.setflags(write=False)
    return table


def _modality_values(scale: GrayScale) -> tuple[NDArray[np.float64], float, float]:
    """Return the value of every bit pattern, and the lowest and highest value there can be."""
    patterns = np.arange(2**scale.bits)
    if scale.signed:
        patterns[patterns.size // 2 :] -= patterns.size
    stored = patterns.astype(np.float64)
    if scale.modality is not None:
        return scale.modality.look_up(stored), 0.0, 2.0**scale.modality.bits - 1
    values = stored * scale.slope + scale.intercept
    return values, float(values.min()), float(values.max())


def to_gray(stored: NDArray[np.integer], scale: GrayScale) -> NDArray[np.uint8]:
    """Return stored values as gray levels: the shape of `stored`, uint8.

    Args:
        stored: 8- or 16-bit integers; bits above `scale.bits` are not looked at.
        scale: how they are to be seen.
    """
    table = gray_table(scale)
    pattern = stored.view(np.dtype(f"u{stored.dtype.itemsize}"))
    if pattern.dtype == np.uint8 and scale.bits == 8:
        return np.asarray(cv2.LUT(pattern, table), dtype=np.uint8)
    used = pattern.dtype.type(min(table.size - 1, np.iinfo(pattern.dtype).max))
    levels: NDArray[np.uint8] = np.take(table, pattern & used)
    return levels
