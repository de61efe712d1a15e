"""Reads a mask file: which of its values are the mask, or why it is not a mask.

Without settings, any two values form a mask if one of them is 0: it is the background, the other
value the mask. There is no threshold at a middle gray, as that would turn object numbers, classes
and colours into masks. Only JPEG and its like, which cannot preserve two levels, may contain others
along edges. With `labels.values` the settings say what is the mask.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.data_folder import path_in
from goldfold.competitions.mask_advice import advice, file_values
from goldfold.competitions.mask_pixels import (
    Colour,
    MaskPixels,
    read_mask_pixels,
    values_in,
    where_any,
)
from goldfold.errors import ImageError
from goldfold.settings_values import ValueSet, parse_values

_OUTLINE = (
    "It is not clear which pixels are the mask. Write the mask as 255 and everything else as 0, or "
    "set labels.values to the values of the mask."
)
_EXACT = (
    "Compression has changed the levels, so list a range in labels.values, such as "
    'values = ["128..255"].'
)
_CHANGED = (
    "Compression has changed the colours, so none can be listed. Write the mask as a PNG of 0 and "
    "255, or the classes as a PNG of exact colours."
)
_FULL = frozenset({1, 255, 65535})
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_NAMED = 6  # values of a file in a message
_MIDDLE = 127
# None of 267 hard and soft masks deviates this much over such a square as JPEG of quality 60 to 95.
_STRAY, _AREA = 16, 5
_DARK, _BRIGHT = 64, 191  # tiny objects of a pixel or two do not always reach 255 in a JPEG


@dataclass(frozen=True)
class Meaning:
    """What the values of mask files mean, as settings say it.

    Attributes:
        classes: class -> its values, where a file has several classes.
        values: of the mask; None = 0 and one other value, or everything but 0 if `nonzero`.
        nonzero: everything but 0 is the mask.
        objects: each value is an object.
        ignored: values of pixels that neither loss nor metric looks at.
    """

    classes: Mapping[str, ValueSet] = field(default_factory=dict)
    values: ValueSet | None = None
    nonzero: bool = False
    objects: bool = False
    ignored: ValueSet | None = None

    @property
    def guessed(self) -> bool:
        """Whether no setting lists the values of the mask."""
        return not self.classes and self.values is None


TWO_LEVELS = Meaning()


def meaning_of(
    values: str | Sequence[int | str] | Mapping[str, Sequence[int | str]],
    ignored_values: Sequence[int | str] = (),
) -> Meaning:
    """Return the meaning that the settings `labels.values` and `labels.ignored_values` have."""
    ignored = parse_values(ignored_values) if ignored_values else None
    if isinstance(values, Mapping):
        classes = {name: parse_values(of_class) for name, of_class in values.items()}
        return Meaning(classes, ignored=ignored)
    if isinstance(values, str):
        return Meaning(nonzero=True, objects=values == "objects", ignored=ignored)
    return Meaning(values=parse_values(values) if values else None, ignored=ignored)


@dataclass(frozen=True)
class LevelMask:
    """A mask that was read.

    Attributes:
        mask: (H, W) uint8 of 0 and 1.
        level: value of the mask's pixels in the file, as text; "" if the mask is empty, or if the
            settings say which values are the mask.
        full: whether the value is 1, 255, 65535 or white, which are usual values of masks.
        classes: class -> its mask, where the settings find several classes in a file.
        ignored: (H, W) bool, None where no pixel is ignored.
        background: other values than 0 that the settings leave out, as text.
        numbers: (H, W) the object of each pixel, 0 for none; None unless values are objects.
    """

    mask: NDArray[np.uint8]
    level: str
    full: bool
    classes: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    ignored: NDArray[np.bool_] | None = None
    background: tuple[str, ...] = ()
    numbers: NDArray[Any] | None = None


class NotAMaskError(ImageError):
    """A file was read but is not a mask.

    Attributes:
        name: of the file.
        content: in words.
        remedy: what to do, "" if its values decide that.
        values: of the file, where they decide what to do.
        unlistable: whether compression has changed its colours, so that settings can list none.
    """

    def __init__(
        self, name: str, content: str, remedy: str, pixels: MaskPixels | None = None
    ) -> None:
        """Take name, content, remedy and values."""
        self.values = file_values(pixels) if pixels is not None and not remedy else None
        shown = remedy or (advice([self.values]) if self.values is not None else "")
        super().__init__(f"{name} contains {content}. {shown}".rstrip())
        self.name, self.content, self.remedy = name, content, remedy
        self.unlistable = remedy == _CHANGED


class _Refused(Exception):  # noqa: N818 - becomes a NotAMaskError once the file's name is known
    def __init__(self, content: str, remedy: str = "") -> None:
        super().__init__(content)
        self.content, self.remedy = content, remedy


def read_mask(path: Path, below: Path | None = None, meaning: Meaning = TWO_LEVELS) -> LevelMask:
    """Return the mask in a file.

    Values are gray levels, palette indices, colours, or levels of transparency where an image of
    one colour is partly transparent. Unless settings say what they mean, a file with one value is
    an empty mask if it is 0, and a full mask if it is 1, 255, 65535 or white.

    Args:
        path: a PNG, JPEG, TIFF, GIF, BMP, WEBP or DICOM file.
        below: folder relative to which messages name the file; None = full path.
        meaning: of the values.

    Raises:
        NotAMaskError: it is not clear which pixels are the mask: without settings, the file has
            more than two values, two without 0, or two that contradict its palette or its
            transparency; with settings, its compression has changed values that they list exactly.
        ImageError: the file cannot be read, or has several pages or frames.
    """
    pixels = read_mask_pixels(path, below)
    try:
        if meaning.classes or meaning.values is not None or meaning.nonzero:
            return _by_settings(pixels, meaning)
        return _two_values(pixels, meaning)
    except _Refused as refused:
        name = path_in(below, path) if below is not None else str(path)
        raise NotAMaskError(name, refused.content, refused.remedy, pixels) from None


# --- as the settings say --------------------------------------------------------------------------


def _by_settings(pixels: MaskPixels, meaning: Meaning) -> LevelMask:
    codes = pixels.shown
    present = values_in(codes)
    _require_exact(pixels, present, meaning)
    ignored = _chosen(pixels, present, meaning.ignored)
    masks = {name: _chosen(pixels, present, of) for name, of in meaning.classes.items()}
    if meaning.values is not None:
        masks[""] = _chosen(pixels, present, meaning.values)
    if meaning.nonzero:
        masks[""] = present[(present != 0) & ~np.isin(present, ignored)]
    named = np.concatenate([ignored, *masks.values()])
    others = present[(present != 0) & ~np.isin(present, named)]
    skipped = where_any(codes, ignored) if len(ignored) else None
    drawn = {name: _mask(codes, of, skipped) for name, of in masks.items()}
    merged = drawn.get("")
    return LevelMask(
        np.bitwise_or.reduce(list(drawn.values())) if merged is None else merged,
        "",
        True,
        classes={} if merged is not None else drawn,
        ignored=skipped,
        background=tuple(pixels.name(code) for code in others.tolist()),
        numbers=np.where(drawn[""] > 0, codes, 0) if meaning.objects else None,
    )


def _chosen(pixels: MaskPixels, present: NDArray[Any], values: ValueSet | None) -> NDArray[Any]:
    """Return which of the codes in a file settings list."""
    if values is None:
        return present[:0]
    return present[[pixels.has(values, code) for code in present.tolist()]]


def _mask(
    codes: NDArray[Any], chosen: NDArray[Any], skipped: NDArray[np.bool_] | None
) -> NDArray[np.uint8]:
    mask = where_any(codes, chosen)
    return (mask if skipped is None else mask & ~skipped).astype(np.uint8)


def _require_exact(pixels: MaskPixels, present: NDArray[Any], meaning: Meaning) -> None:
    """Refuse exact values of pixels that compression has changed."""
    if not pixels.lossy:
        return
    lists = [*meaning.classes.values(), meaning.values, meaning.ignored]
    given = [values for values in lists if values is not None]
    known = [code == 0 or any(pixels.has(values, code) for values in given) for code in present]
    by_range = bool(given) and all(values.ranges for values in given)
    if not by_range and not all(known):
        remedy = _CHANGED if pixels.what == "colours" else _EXACT
        raise _Refused(_described(present, pixels), remedy)


# --- two values -----------------------------------------------------------------------------------


def _two_values(pixels: MaskPixels, meaning: Meaning) -> LevelMask:
    """Return the mask in a file of 0 and one other value, ignored ones aside."""
    codes, skipped = pixels.codes, None
    if meaning.ignored is not None:
        ignored = _chosen(pixels, values_in(codes), meaning.ignored)
        skipped = where_any(codes, ignored) if len(ignored) else None
        codes = codes if skipped is None else np.where(skipped, 0, codes).astype(codes.dtype)
    if pixels.lossy:
        read = _lossy_mask(codes, pixels)
    elif pixels.palette:
        read = _palette_mask(codes, pixels)
    else:
        read = _two_levels(codes, pixels, () if pixels.what == "colours" else _FULL)
        hidden = pixels.hidden
        if hidden is not None and not np.array_equal(~hidden, read.mask > 0):
            raise _Refused("transparent pixels that contradict its colours", _OUTLINE)
    if skipped is None:
        return read
    mask = read.mask & ~skipped
    return LevelMask(mask, read.level if mask.any() else "", read.full, ignored=skipped)


def _palette_mask(codes: NDArray[Any], pixels: MaskPixels) -> LevelMask:
    """Return the mask in palette indices; their colours must not contradict it."""
    colours: Mapping[int, Colour] = pixels.palette
    high = int(codes.max())
    read = _two_levels(codes, pixels, {high} if colours.get(high) == _WHITE else ())
    black_mask = high > 0 and colours.get(high) == _BLACK and colours.get(0) != _BLACK
    white_ground = high == 0 and colours.get(0) == _WHITE
    if black_mask or white_ground:
        used = ", ".join(pixels.name(index) for index in sorted({0, high}))
        raise _Refused(f"palette indices and colours that contradict each other: {used}", _OUTLINE)
    return read


def _lossy_mask(codes: NDArray[Any], pixels: MaskPixels) -> LevelMask:
    """Return the mask in a JPEG: dark and bright areas, with other levels only along edges."""
    if pixels.what == "colours":
        raise _Refused(_described(values_in(codes), pixels), _CHANGED)
    low, high = int(codes.min()), int(codes.max())
    if low == high and low in (0, 255):
        return LevelMask((codes > 0).astype(np.uint8), "255" if high else "", True)
    between = ((codes > _STRAY) & (codes < 255 - _STRAY)).astype(np.uint8)
    square = np.ones((_AREA, _AREA), np.uint8)
    areas = cv2.erode(between, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    if low > _DARK or high < _BRIGHT or areas.any():
        words = ", not only along edges" if areas.any() else ", not both dark and bright ones"
        raise _Refused(_described(values_in(codes), pixels) + words)
    return LevelMask((codes > _MIDDLE).astype(np.uint8), "255", True)


def _two_levels(codes: NDArray[Any], pixels: MaskPixels, full: Collection[int]) -> LevelMask:
    """Return the mask of pixels that are 0 or one other value; `full` are usual ones of masks."""
    low, high = codes.min().item(), codes.max().item()
    mask = codes == high
    if low == high:
        if high and high not in full:
            raise _Refused(f"a single value in all pixels, {pixels.name(high)}")
        level = pixels.name(high) if high else ""
        return LevelMask(np.full(codes.shape, high > 0, np.uint8), level, True)
    if low or np.count_nonzero(mask) + np.count_nonzero(codes == 0) < codes.size:
        raise _Refused(_described(values_in(codes), pixels))
    return LevelMask(mask.astype(np.uint8), pixels.name(high), high in full)


def _described(present: NDArray[Any], pixels: MaskPixels) -> str:
    """Return the count of the different values, and the names of the first and the last."""
    names = [pixels.name(code) for code in present.tolist()]
    shown = names if len(names) <= _NAMED else [*names[: _NAMED - 1], "...", names[-1]]
    without = "" if present[0] == 0 else f"; none is {pixels.name(0)}"
    return f"{len(names):,} {pixels.what} ({', '.join(shown)}{without})"
