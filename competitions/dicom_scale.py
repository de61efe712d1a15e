"""How the gray values of a DICOM file are displayed, as far as its header says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid

from goldfold.competitions.codestream import LEAVE_OUT, UndecidedError, UnreadableError
from goldfold.competitions.dicom_elements import Elements
from goldfold.competitions.raster_levels import CHOOSE
from goldfold.competitions.reading import Reading
from goldfold.competitions.stretch import count_patterns, range_of_counts, window_between
from goldfold.competitions.window import (
    GrayScale,
    Window,
    modality_values,
    repair_ct,
    stored_values,
    used_patterns,
)

CONVERT = f"Convert it to 8- or 16-bit PNG, or {LEAVE_OUT}."

_CT_CLASSES = (
    uid.CTImageStorage,
    uid.EnhancedCTImageStorage,
    uid.LegacyConvertedEnhancedCTImageStorage,
)
_WATER_OFFSETS = (-1100, -900)  # intercepts of CT are at or near -1024 or -1000


@dataclass(frozen=True)
class Display:
    """What a header says of the display of gray values.

    Attributes:
        scale: rescale, window and inversion.
        hounsfield: whether values are those of CT, so that equal values mean equal tissue.
        padding: lowest and highest stored value of pixels outside the image, None without.
        notes: what was ignored, as the rest of a sentence after "image has".
    """

    scale: GrayScale
    hounsfield: bool = False
    padding: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


def read_display(elements: Elements, frame: int) -> Display:
    """Return what a header says of the display.

    Where a file of several frames has no window or rescale of its own, those of the frame count,
    then those that all frames share.

    Args:
        elements: the header.
        frame: the frame that is read, from 0.

    Raises:
        UnreadableError: bits, numbers or tables are impossible.
    """
    bits = elements.number("BitsStored")
    if not 1 <= bits <= min(16, elements.number("BitsAllocated")):
        raise UnreadableError(
            f"its header says {bits} bits stored of {elements.number('BitsAllocated')} "
            "allocated; expected 1 to 16",
            CONVERT,
        )
    signed = elements.number("PixelRepresentation", 0) == 1
    voi = [elements, *_of_frame(elements, frame, "FrameVOILUTSequence")]
    rescale = [elements, *_of_frame(elements, frame, "PixelValueTransformationSequence")]
    windows, ignored = _windows(voi)
    slope = _first_floats(rescale, "RescaleSlope") or [1.0]
    intercept = _first_floats(rescale, "RescaleIntercept") or [0.0]
    if slope[0] == 0 and not elements.lookup_table("ModalityLUTSequence", signed):
        raise UnreadableError(
            "its RescaleSlope is 0, so all its levels would be the same",
            f"Correct it in the header, or {LEAVE_OUT}.",
        )
    scale = GrayScale(
        bits=bits,
        signed=signed,
        slope=slope[0],
        intercept=intercept[0],
        modality=elements.lookup_table("ModalityLUTSequence", signed),
        voi=elements.lookup_table("VOILUTSequence", signed),
        windows=windows,
        inverted=elements.text("PhotometricInterpretation") == "MONOCHROME1",
    )
    units = {place.text("RescaleType").upper() for place in rescale}
    return Display(scale, _is_ct(elements, units, scale), _padding(elements, scale), ignored)


def _of_frame(elements: Elements, frame: int, keyword: str) -> list[Elements]:
    """Return the items of a functional group of a frame: its own, then the shared one."""
    per_frame = elements.items("PerFrameFunctionalGroupsSequence")
    groups = [
        *per_frame[frame : frame + 1],
        *elements.items("SharedFunctionalGroupsSequence")[:1],
    ]
    return [item for group in groups for item in group.items(keyword)[:1]]


def _first_floats(places: Sequence[Elements], keyword: str) -> list[float]:
    return next((values for place in places if (values := place.floats(keyword))), [])


def _windows(places: Sequence[Elements]) -> tuple[tuple[Window, ...], tuple[str, ...]]:
    """Return the usable windows of the first place that has some, and what was ignored."""
    ignored: list[str] = []
    for place in places:
        function = place.text("VOILUTFunction").upper() or "LINEAR"
        centers, widths = place.floats("WindowCenter"), place.floats("WindowWidth")
        usable = []
        for center, width in zip(centers, widths, strict=False):
            if width >= 1 or (width > 0 and function != "LINEAR"):
                usable.append(Window(center, width, function))
            else:
                ignored.append(f"a window of width {width:g} in the header, which is ignored")
        if usable:
            return tuple(usable), tuple(ignored)
    return (), tuple(ignored)


def _is_ct(elements: Elements, units: set[str], scale: GrayScale) -> bool:
    modality = elements.text("Modality").upper()
    if "HU" in units or modality == "CT" or elements.text("SOPClassUID") in _CT_CLASSES:
        return True
    low, high = _WATER_OFFSETS
    return not modality and scale.modality is None and low <= scale.intercept <= high


def _padding(elements: Elements, scale: GrayScale) -> tuple[int, int] | None:
    """Return the range of stored values that pad the image."""
    values = elements.integers("PixelPaddingValue")[:1]
    if not values:
        return None
    values += elements.integers("PixelPaddingRangeLimit")[:1]
    half = 2**15
    numbers = [value - 2 * half if scale.signed and value >= half else value for value in values]
    return min(numbers), max(numbers)


def displayed(display: Display, stored: NDArray[Any], reading: Reading) -> GrayScale:
    """Return the scale with which gray values are displayed, if `reading` names no window.

    Args:
        display: what the header says.
        stored: the stored values, (H, W) integers.
        reading: repair and stretch.

    Raises:
        UnreadableError: neither header nor `reading` says which values of CT matter.
    """
    scale = repair_ct(display.scale) if reading.repair else display.scale
    if reading.stretch == "none":
        return scale
    if reading.stretch == "auto":
        if scale.voi is not None or scale.windows or scale.bits <= 8:
            return scale
        if display.hounsfield and reading.ask:
            raise UndecidedError(
                "it is CT, whose values mean something, but its header has no window, so nothing "
                "says which of them become black and white",
                CHOOSE,
            )
    counts = count_patterns(used_patterns(stored, scale), 2**scale.bits)
    if display.padding is not None:
        low, high = display.padding
        values = stored_values(scale) - scale.shift
        inside = np.where((values < low) | (values > high), counts, 0)
        counts = inside if inside.any() else counts
    window = window_between(*range_of_counts(modality_values(scale), counts, reading.limits))
    if window is None:  # all pixels are equal
        return replace(scale, voi=None, windows=())
    return replace(scale, voi=None, windows=(window,))
