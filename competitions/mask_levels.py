"""Reads a mask file: which of its two levels is the mask, or why it is not a mask.

Any two levels form a mask if one of them is 0: it is the background, the other level the mask.
There is no threshold at a middle gray, as that would turn object numbers, classes and colours into
masks. Only JPEG, which cannot preserve two levels, may contain others along edges.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.data_folder import path_in
from goldfold.competitions.image import read_header, read_stored
from goldfold.competitions.stored import Stored
from goldfold.errors import ImageError

REWRITE = (
    "Expected 0 and one other level, of any value. If the levels number objects or smooth edges, "
    "write the mask as 255 and everything else as 0. If they are classes, write one file per class "
    "and set labels.class_masks."
)
"""What to do if it is not clear which levels are the mask."""
_OUTLINE = (
    "It is not clear which pixels are the mask. Write the mask as 255 and everything else as 0."
)
_FRAMES = "Write one file per frame."
_FULL = frozenset({1, 255, 65535})
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_NAMED = 6  # levels of a file in a message
_MIDDLE = 127
# None of 267 hard and soft masks deviates this much over such a square as JPEG of quality 60 to 95.
_STRAY, _AREA = 16, 5
_DARK, _BRIGHT = 64, 191  # tiny objects of a pixel or two do not always reach 255 in a JPEG


@dataclass(frozen=True)
class LevelMask:
    """A mask that was read.

    Attributes:
        mask: (H, W) uint8 of 0 and 1.
        level: level of the mask's pixels in the file, as text; "" if the mask is empty.
        full: whether the level is 1, 255, 65535 or white, which are usual levels of masks.
    """

    mask: NDArray[np.uint8]
    level: str
    full: bool


class NotAMaskError(ImageError):
    """A file was read but is not a mask."""

    def __init__(self, name: str, content: str, remedy: str) -> None:
        """Take the name of the file, its content in words, and the remedy."""
        super().__init__(f"{name} contains {content}. {remedy}")
        self.name, self.content, self.remedy = name, content, remedy


class _Refused(Exception):  # noqa: N818 - becomes a NotAMaskError once the file's name is known
    def __init__(self, content: str, remedy: str = REWRITE) -> None:
        super().__init__(content)
        self.content, self.remedy = content, remedy


def read_mask(path: Path, below: Path | None = None) -> LevelMask:
    """Return the mask in a file.

    Levels are gray levels, palette indices or colours. A file with one level is an empty mask if it
    is 0, and a full mask if it is 1, 255, 65535 or white.

    Args:
        path: a PNG, JPEG or DICOM file.
        below: folder relative to which messages name the file; None = full path.

    Raises:
        NotAMaskError: the file has more than two levels, two without 0, or two that contradict its
            palette or its transparency.
        ImageError: the file cannot be read.
    """
    stored = read_stored(path, below)
    try:
        if stored.kind == "DICOM":
            _require_one_frame(path)
        if stored.lossy:
            return _lossy_mask(stored.pixels)
        if stored.palette is not None:
            return _palette_mask(stored.pixels, stored.palette)
        return _raster_mask(stored)
    except _Refused as refused:
        name = path_in(below, path) if below is not None else str(path)
        raise NotAMaskError(name, refused.content, refused.remedy) from None


def _require_one_frame(path: Path) -> None:
    frames = read_header(path).facts.get("frames", "")
    if frames not in ("", "0", "1"):
        raise _Refused(f"{frames} frames", _FRAMES)


def _raster_mask(stored: Stored) -> LevelMask:
    """Return the mask in gray levels or colours; transparency must not contradict it."""
    pixels = stored.pixels
    if pixels.ndim == 2:
        return _two_levels(pixels, str, "levels", _FULL)
    colours = pixels[..., :3]
    if (colours == colours[..., :1]).all():
        read = _two_levels(colours[..., 0], str, "levels", _FULL)
    else:
        read = _two_levels(_colour_codes(colours), _colour_name, "colours", ())
    if pixels.shape[2] == 4:
        visible = pixels[..., 3] > 0
        if not visible.all() and not np.array_equal(visible, read.mask > 0):
            raise _Refused("transparent pixels that contradict its colours", _OUTLINE)
    return read


def _palette_mask(
    indices: NDArray[np.uint8 | np.uint16], palette: Sequence[tuple[int, int, int]]
) -> LevelMask:
    """Return the mask in palette indices; their colours must not contradict it."""
    colours = dict(enumerate(palette))

    def name(index: int) -> str:
        return f"{index} {_hex(colours[index])}" if index in colours else f"{index} without colour"

    high = int(indices.max())
    full = {high} if colours.get(high) == _WHITE else ()
    read = _two_levels(indices, name, "palette indices", full)
    black_mask = high > 0 and colours.get(high) == _BLACK and colours.get(0) != _BLACK
    white_ground = high == 0 and colours.get(0) == _WHITE
    if black_mask or white_ground:
        used = ", ".join(name(index) for index in sorted({0, high}))
        raise _Refused(f"palette indices and colours that contradict each other: {used}", _OUTLINE)
    return read


def _lossy_mask(pixels: NDArray[np.uint8 | np.uint16]) -> LevelMask:
    """Return the mask in a JPEG: dark and bright areas, with other levels only along edges."""
    if pixels.ndim == 3:
        spread = pixels.max(axis=2).astype(np.int16) - pixels.min(axis=2)
        if int(spread.max()) > 2 * _STRAY:
            raise _Refused(_described(_colour_codes(pixels), _colour_name, "colours"))
        pixels = pixels[..., 1]
    low, high = int(pixels.min()), int(pixels.max())
    if low == high and low in (0, 255):
        return LevelMask((pixels > 0).astype(np.uint8), "255" if high else "", True)
    between = ((pixels > _STRAY) & (pixels < 255 - _STRAY)).astype(np.uint8)
    square = np.ones((_AREA, _AREA), np.uint8)
    areas = cv2.erode(between, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    if low > _DARK or high < _BRIGHT or areas.any():
        words = ", not only along edges" if areas.any() else ", not both dark and bright ones"
        raise _Refused(_described(pixels, str, "levels") + words)
    return LevelMask((pixels > _MIDDLE).astype(np.uint8), "255", True)


def _two_levels(
    codes: NDArray[Any], name: Callable[[int], str], what: str, full: Collection[int]
) -> LevelMask:
    """Return the mask of pixels that are 0 or one other number.

    Args:
        codes: (H, W) integers.
        name: returns the name of a number, for messages.
        what: word for the numbers, for messages.
        full: usual numbers of masks.
    """
    low, high = int(codes.min()), int(codes.max())
    mask = codes == high
    if low == high:
        if high and high not in full:
            raise _Refused(f"a single value in all pixels, {name(high)}")
        return LevelMask(np.full(codes.shape, high > 0, np.uint8), name(high) if high else "", True)
    if low or np.count_nonzero(mask) + np.count_nonzero(codes == 0) < codes.size:
        raise _Refused(_described(codes, name, what))
    return LevelMask(mask.astype(np.uint8), name(high), high in full)


def _described(codes: NDArray[Any], name: Callable[[int], str], what: str) -> str:
    """Return the count of the different numbers, and the names of the first and the last."""
    levels = np.unique(codes).tolist()
    names = [name(level) for level in levels]
    shown = names if len(names) <= _NAMED else [*names[: _NAMED - 1], "...", names[-1]]
    without = "" if levels[0] == 0 else f"; none is {name(0)}"
    return f"{len(levels):,} {what} ({', '.join(shown)}{without})"


def _colour_codes(colours: NDArray[np.uint8 | np.uint16]) -> NDArray[np.int64]:
    """Return one number per RGB colour, (H, W); black is 0."""
    wide = colours.astype(np.int64)
    return np.asarray((wide[..., 0] << 32) | (wide[..., 1] << 16) | wide[..., 2])


def _colour_name(code: int) -> str:
    return _hex((code >> 32, code >> 16 & 0xFFFF, code & 0xFFFF))


def _hex(colour: tuple[int, int, int]) -> str:
    """Return a colour as web pages write it.

    >>> _hex((255, 128, 0))
    '#ff8000'
    """
    digits = 2 if max(colour) < 256 else 4
    return "#" + "".join(f"{part:0{digits}x}" for part in colour)
