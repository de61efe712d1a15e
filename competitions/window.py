"""From stored DICOM values to 8-bit gray: modality LUT, VOI window, MONOCHROME1 inversion.

Stored values have at most 16 bits, so the entire chain is one lookup table: it is computed once for
every possible value, in float64, and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.codestream import LEAVE_OUT, UnreadableError
from goldfold.errors import InputError, did_you_mean

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_CT_OFFSET, _LOWEST_INTERCEPT = -1000, -100
_REMEDY = f"Correct the window in the header, or {LEAVE_OUT}."


@dataclass(frozen=True)
class LookupTable:
    """`levels[v - first]` is the level (of `bits` bits) of a value v, or of the nearest entry."""

    first: int
    bits: int
    levels: tuple[int, ...]

    def look_up(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the level of each value as float64, in the shape of `values`."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.levels) - 1)
        levels = np.array(self.levels, dtype=np.float64)
        levels_of_values: NDArray[np.float64] = levels[index.astype(np.int64)]
        return levels_of_values


@dataclass(frozen=True)
class Window:
    """A VOI window in values after the modality LUT."""

    center: float
    width: float
    function: str = "LINEAR"

    def __post_init__(self) -> None:
        if self.function not in _FUNCTIONS:
            raise UnreadableError(
                f"its VOI LUT function is {self.function!r}; expected one of "
                f"{', '.join(_FUNCTIONS)}",
                _REMEDY,
            )
        wide_enough = self.width >= 1 if self.function == "LINEAR" else self.width > 0
        if not (wide_enough and math.isfinite(self.width) and math.isfinite(self.center)):
            expected = "of 1 or more" if self.function == "LINEAR" else "above 0"
            raise UnreadableError(
                f"its window has center {self.center:g} and width {self.width:g}; expected a width "
                f"{expected}",
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
    """How the stored values of an image are displayed.

    `bits` and `signed` describe the stored values. The modality LUT replaces slope and intercept,
    the VOI LUT replaces the windows. Of several windows, which are alternatives, the first is used.
    `shift` is added to the bit pattern, which wraps around.
    """

    bits: int
    signed: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    modality: LookupTable | None = None
    voi: LookupTable | None = None
    windows: tuple[Window, ...] = ()
    inverted: bool = False
    shift: int = 0


def repair_ct(scale: GrayScale) -> GrayScale:
    """Return the corrected scale of a CT whose values were stored 1000 too low, others unchanged.

    Such an image has 12 unsigned bits and an intercept above -100 instead of -1024; air was stored
    as 0 - 1000, which wrapped around to 3096.

    Source: J. Howard, "Cleaning the data for rapid prototyping", a public notebook of RSNA
    Intracranial Hemorrhage Detection (2019).
    """
    if scale.bits != 12 or scale.signed or scale.intercept <= _LOWEST_INTERCEPT:
        return scale
    return replace(scale, shift=-_CT_OFFSET, intercept=float(_CT_OFFSET))


WINDOWS: Mapping[str, Window] = MappingProxyType(
    {
        "brain": Window(40, 80),
        "subdural": Window(80, 200),
        "bone": Window(600, 2800),
        "stroke": Window(40, 40),
        "soft-tissue": Window(50, 350),
        "lung": Window(-600, 1500),
    }
)
"""Usual windows of CT, in Hounsfield units.

Source: the first three are from public solutions of RSNA Intracranial Hemorrhage Detection (2019);
the others are common in radiology.
"""


def get_window(text: str) -> Window:
    """Return a window by its name, or by `CENTER:WIDTH` in values after the modality LUT.

    >>> get_window("brain"), get_window("40:80") == get_window("brain")
    (Window(center=40, width=80, function='LINEAR'), True)

    Raises:
        InputError: the text is neither.
    """
    if text in WINDOWS:
        return WINDOWS[text]
    center, _, width = text.partition(":")
    try:
        return Window(float(center), float(width))
    except (ValueError, UnreadableError):
        raise InputError(
            f"unknown window {text!r}; expected one of {', '.join(WINDOWS)}, or CENTER:WIDTH such "
            f"as 40:80 with a width of 1 or more.{did_you_mean(text, WINDOWS)}"
        ) from None


@lru_cache(maxsize=64)
def gray_table(scale: GrayScale, bits: Literal[8, 16] = 8) -> NDArray[np.uint8 | np.uint16]:
    """Return the gray level of every bit pattern, (2 ** scale.bits,), read-only, 0 = black.

    Levels are uint8, or uint16 for 16 bits. Without window and VOI LUT, the range of the stored
    bits is mapped to 0 to 255, whatever values the image has.

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
    most, kind = (255, np.uint8) if bits == 8 else (65535, np.uint16)
    levels = np.floor(np.clip(fraction, 0, 1) * most + 0.5).astype(kind)
    table: NDArray[np.uint8 | np.uint16] = most - levels if scale.inverted else levels
    table.setflags(write=False)
    return table


def stored_values(scale: GrayScale) -> NDArray[np.int64]:
    """Return the stored value of every bit pattern, (2 ** scale.bits,)."""
    patterns = (np.arange(2**scale.bits) + scale.shift) % 2**scale.bits
    if scale.signed:
        patterns = np.where(patterns >= patterns.size // 2, patterns - patterns.size, patterns)
    return np.asarray(patterns)


def modality_values(scale: GrayScale) -> NDArray[np.float64]:
    """Return the value after the modality LUT of every bit pattern, (2 ** scale.bits,)."""
    stored = stored_values(scale).astype(np.float64)
    if scale.modality is not None:
        return scale.modality.look_up(stored)
    values: NDArray[np.float64] = stored * scale.slope + scale.intercept
    return values


def _modality_values(scale: GrayScale) -> tuple[NDArray[np.float64], float, float]:
    """Return the value of every bit pattern, and the lowest and highest possible value."""
    values = modality_values(scale)
    if scale.modality is not None:
        return values, 0.0, 2.0**scale.modality.bits - 1
    return values, float(values.min()), float(values.max())


def to_gray(
    stored: NDArray[np.integer], scale: GrayScale, bits: Literal[8, 16] = 8
) -> NDArray[np.uint8 | np.uint16]:
    """Return stored values as gray levels, uint8 or uint16 in the shape of `stored`.

    Args:
        stored: 8- or 16-bit integers; bits above `scale.bits` are ignored.
        scale: how the values are displayed.
        bits: bits of the levels.
    """
    table = gray_table(scale, bits)
    if stored.dtype.itemsize == 1 and scale.bits == 8:
        return np.asarray(cv2.LUT(stored.view(np.uint8), table), dtype=table.dtype)
    levels: NDArray[np.uint8 | np.uint16] = np.take(table, used_patterns(stored, scale))
    return levels


def used_patterns(stored: NDArray[np.integer], scale: GrayScale) -> NDArray[np.uint8 | np.uint16]:
    """Return the bit patterns of stored values without the bits above `scale.bits`."""
    pattern = stored.view(np.dtype(f"u{stored.dtype.itemsize}"))
    used = pattern.dtype.type(min(2**scale.bits - 1, np.iinfo(pattern.dtype).max))
    patterns: NDArray[np.uint8 | np.uint16] = pattern & used
    return patterns
