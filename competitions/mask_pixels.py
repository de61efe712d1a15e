"""The values in a mask file: one number per pixel, whatever the form of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.data_folder import path_in
from goldfold.competitions.image import UndecidedImageError, read_header, read_stored
from goldfold.competitions.raster import palette_colours
from goldfold.competitions.stored import Stored
from goldfold.errors import ImageError
from goldfold.settings_values import ValueSet

Colour = tuple[int, int, int]
_COLOURS_COUNT = ("GIF", "BMP")  # their encoders number colours as they like
_PAGES = "has several pages or frames, but a mask file belongs to one image. Write one file each."
_LOSSY_COLOURS = 32
"""Most that channels of a gray JPEG differ."""


@dataclass(frozen=True)
class MaskPixels:
    """The values of a file's pixels.

    Attributes:
        codes: (H, W) integers, or floats that are not whole: gray levels, palette indices, levels
            of transparency, or numbers that stand for colours.
        what: levels, palette indices, colours or levels of transparency.
        palette: colour of each palette index.
        hidden: (H, W) where pixels are transparent; None where none is, or transparency is what
            the codes are.
        lossy: whether the compression of the file changes values.
    """

    codes: NDArray[Any]
    what: str = "levels"
    palette: Mapping[int, Colour] = field(default_factory=dict)
    hidden: NDArray[np.bool_] | None = None
    lossy: bool = False

    @property
    def shown(self) -> NDArray[Any]:
        """The codes, 0 where pixels are transparent."""
        return self.codes if self.hidden is None else np.where(self.hidden, 0, self.codes)

    def name(self, code: float) -> str:
        """Return a value for messages: 255, #ff0000, or 1 #800000 of a palette."""
        if self.what == "palette indices":
            colour = self.palette.get(int(code))
            return f"{int(code)} {hex_colour(colour) if colour else 'without colour'}"
        return str(self.token(code))

    def token(self, code: float) -> int | str:
        """Return a value as settings write it."""
        if self.what == "colours":
            return hex_colour(self._colour(int(code)))
        return int(code) if float(code).is_integer() else f"{code:g}"

    def has(self, values: ValueSet, code: float) -> bool:
        """Return whether a value is one of those that settings list; gray is a level, too."""
        if self.what == "palette indices":
            return values.has_level(code) or self.palette.get(int(code)) in values.colours
        if self.what == "colours":
            colour = self._colour(int(code))
            gray = colour[0] == colour[1] == colour[2]
            return colour in values.colours or (gray and values.has_level(colour[0]))
        return values.has_level(code) or (code, code, code) in values.colours

    def _colour(self, code: int) -> Colour:
        bits = 8 if self.codes.dtype == np.uint32 else 16
        most = (1 << bits) - 1
        return code >> 2 * bits & most, code >> bits & most, code & most


def read_mask_pixels(path: Path, below: Path | None = None) -> MaskPixels:
    """Return the values in a mask file.

    Args:
        path: a PNG, JPEG, TIFF, GIF, BMP, WEBP or DICOM file.
        below: folder relative to which messages name the file; None = full path.

    Raises:
        ImageError: the file cannot be read, or has several pages or frames.
    """
    name = path_in(below, path) if below is not None else path
    try:
        stored = read_stored(path, below)
    except UndecidedImageError as error:
        raise ImageError(f"{name} {_PAGES}") from error
    if stored.kind == "DICOM":
        frames = read_header(path).facts.get("frames", "")
        if frames not in ("", "0", "1"):
            raise ImageError(f"{name} {_PAGES}")
    if np.issubdtype(stored.pixels.dtype, np.floating) and not np.isfinite(stored.pixels).all():
        raise ImageError(
            f"{name} contains pixels that are no number (NaN or infinite). Write a number that "
            "labels.ignored_values lists, or 0 if they are background."
        )
    return mask_pixels(stored)


def mask_pixels(stored: Stored) -> MaskPixels:
    """Return the values of a decoded file."""
    pixels, lossy = stored.pixels, stored.lossy
    if stored.palette is not None and stored.kind not in _COLOURS_COUNT:
        return MaskPixels(pixels, "palette indices", dict(enumerate(stored.palette)))
    if stored.palette is not None:
        pixels = palette_colours(pixels, stored.palette)
    if pixels.ndim == 2:
        return MaskPixels(_whole(pixels), lossy=lossy)
    colours, alpha = pixels[..., :3], pixels[..., 3] if pixels.shape[2] == 4 else None
    if _is_gray(colours) or (lossy and _channel_spread(colours) <= _LOSSY_COLOURS):
        codes, what = np.ascontiguousarray(colours[..., 1]), "levels"
    else:
        codes, what = _colour_codes(colours), "colours"
    if alpha is None or int(alpha.min()) == int(alpha.max()) > 0:
        return MaskPixels(codes, what, lossy=lossy)
    if (codes == codes[:1, :1]).all() and int(alpha.max()) > 0:
        return MaskPixels(alpha, "levels of transparency", lossy=lossy)
    return MaskPixels(codes, what, hidden=alpha == 0, lossy=lossy)


def _whole(levels: NDArray[Any]) -> NDArray[Any]:
    """Return floats as integers if all are whole."""
    if not np.issubdtype(levels.dtype, np.floating):
        return levels
    return levels.astype(np.int64) if (levels == np.rint(levels)).all() else levels


def _channel_spread(colours: NDArray[Any]) -> int:
    return int((colours.max(axis=2).astype(np.int32) - colours.min(axis=2)).max())


def _is_gray(colours: NDArray[Any]) -> bool:
    red, green, blue = (colours[..., channel] for channel in range(3))
    return bool((red == green).all() and (green == blue).all())


def _colour_codes(colours: NDArray[Any]) -> NDArray[Any]:
    """Return one number per colour, (H, W): uint32 of 8 bits a channel, int64 of 16; black is 0."""
    bits, kind = (8, np.uint32) if colours.dtype == np.uint8 else (16, np.int64)
    codes = colours[..., 0].astype(kind)
    for channel in (1, 2):
        codes = (codes << bits) | colours[..., channel]
    return codes


def hex_colour(colour: Colour) -> str:
    """Return a colour as web pages write it.

    >>> hex_colour((255, 128, 0))
    '#ff8000'
    """
    digits = 2 if max(colour) < 256 else 4
    return "#" + "".join(f"{part:0{digits}x}" for part in colour)


def values_in(codes: NDArray[Any]) -> NDArray[Any]:
    """Return the sorted different codes of (H, W); long runs of one code cost little."""
    flat = codes.reshape(-1)
    if flat.dtype == np.uint8:
        return np.flatnonzero(np.bincount(flat, minlength=256))
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return np.unique(np.concatenate([flat[:1], flat[starts]]))


def where_any(codes: NDArray[Any], chosen: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a code is one of the chosen ones, (H, W)."""
    if len(chosen) == 0:
        return np.zeros(codes.shape, bool)
    if len(chosen) == 1:
        return np.asarray(codes == chosen[0])
    if codes.dtype in (np.uint8, np.uint16):
        table = np.zeros(1 << (8 * codes.dtype.itemsize), bool)
        table[chosen.astype(np.int64)] = True
        return np.asarray(table[codes])
    return np.isin(codes, chosen)
