"""Any image file of a competition: its header, and its pixels as 8-bit gray or RGB.

The format is recognised by the first bytes of the file, not by its name. DICOM is read in
`goldfold.competitions.dicom`, everything else in `goldfold.competitions.raster`.

Which levels become black and white, for all formats (`competition.images.stretch`):

1. `images.windows`, if there are any, for gray images of more than 8 bits.
2. `stretch = "percentile"` or `"image"`: percentiles, or lowest and highest level, of each image.
3. `auto` and `none`: what a DICOM header says, the VOI LUT or else the first usable window.
4. Without one, up to 8 bits stay as they are; PNG and TIFF of 9 to 16 bits are divided, the same
   for every image. `check` stops where that leaves few levels.
5. What is left is DICOM of more than 8 bits, and TIFF of floats, signed or 32-bit numbers. `auto`
   stretches these by percentiles of each image, without padding, unless their values mean something
   from image to image: CT, and TIFF with levels below 0, are refused until a window or a stretch is
   named. `none` spreads the range of the bits, whatever the image has of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.codestream import MAX_PIXELS, UndecidedError, UnreadableError
from goldfold.competitions.data_folder import path_in
from goldfold.competitions.dicom import read_dicom_header, read_dicom_pixels
from goldfold.competitions.dicom_header import FACTS
from goldfold.competitions.head_crop import crop_to_head
from goldfold.competitions.image_kind import HEAD_BYTES, kind_of
from goldfold.competitions.raster import decode_raster, decode_stored, raster_claim
from goldfold.competitions.reading import PLAIN, Reading, picture_reading, reading_of
from goldfold.competitions.stored import Stored
from goldfold.errors import ImageError
from goldfold.vocabulary import Pages

__all__ = [
    "FACTS",
    "MAX_PIXELS",
    "PLAIN",
    "ImageHeader",
    "Reading",
    "UndecidedImageError",
    "picture_reading",
    "read_header",
    "read_image",
    "read_levels",
    "read_stored",
    "reading_of",
]


class UndecidedImageError(ImageError):
    """An image is whole, but a setting has to say how it is read."""


@dataclass(frozen=True)
class ImageHeader:
    """Size in pixels, and a text for each of `FACTS`, "" if it is not known.

    `notes` say what is ignored, as the rest of a sentence after "image has". `pictures` counts the
    pages or frames of files other than DICOM.
    """

    height: int
    width: int
    facts: dict[str, str]
    notes: tuple[str, ...] = ()
    pictures: int = 1


def read_header(path: Path, below: Path | None = None) -> ImageHeader:
    """Return size and facts of an image without decoding pixels; truncated files are detected.

    Args:
        path: a DICOM, PNG, JPEG, TIFF, GIF, BMP or WEBP file.
        below: folder relative to which messages name the file; None = full path.

    Raises:
        ImageError: the file is missing, empty, truncated, too large, or of an unsupported kind; the
            message names it and says what to do.
    """
    with _naming(path, below), path.open("rb") as file:
        kind = kind_of(file.read(HEAD_BYTES))
        file.seek(0)
        if kind == "DICOM":
            header = read_dicom_header(file)
            return ImageHeader(header.height, header.width, header.facts, header.display.notes)
        claim = raster_claim(file, kind)
        facts = dict.fromkeys(FACTS, "") | {"transfer_syntax": kind}
        notes = []
        if claim.orientation != 1:
            notes.append("an orientation in EXIF or TIFF tags, which is not applied to any image")
        return ImageHeader(claim.height, claim.width, facts, tuple(notes), claim.pictures)


def read_image(
    path: Path,
    channels: int = 1,
    below: Path | None = None,
    reading: Reading = PLAIN,
) -> NDArray[np.uint8]:
    """Return the pixels of an image: (H, W) uint8 for one channel, (H, W, 3) RGB for three.

    DICOM values pass the modality LUT and the VOI LUT or window, and MONOCHROME1 is inverted: 0 is
    always black. The rules above say which levels become black and white. Transparency is dropped;
    colour becomes gray as 0.299 R + 0.587 G + 0.114 B; gray becomes three equal channels. An
    orientation in the EXIF data of a JPEG or in a TIFF is not applied, neither to images nor to
    mask files, because masks refer to the pixels as they are stored.

    Args:
        path: see `read_header`.
        channels: 1 or 3.
        below: see `read_header`.
        reading: windows, stretch and other options; the number of windows is 0, 1 or `channels`.

    Raises:
        ImageError: as `read_header`, or the pixels cannot be decoded, or nothing says which levels
            become black and white.
    """
    if channels not in (1, 3) or len(reading.windows) not in (0, 1, channels):
        raise ValueError(
            f"expected 1 or 3 channels, found {channels} and {len(reading.windows)} windows"
        )
    pixels = np.asarray(read_levels(path, below, reading), np.uint8)
    if reading.crop == "head":
        pixels = crop_to_head(pixels)
    if pixels.ndim == 2 and channels == 3:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    if pixels.ndim == 3 and channels == 1:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return pixels


def read_levels(
    path: Path,
    below: Path | None = None,
    reading: Reading = PLAIN,
    bits: Literal[8, 16] = 8,
) -> NDArray[np.uint8 | np.uint16]:
    """Return the pixels of an image: (H, W) gray, (H, W, 3) RGB, or one channel per window.

    Args:
        path: see `read_header`.
        below: see `read_header`.
        reading: windows, stretch and repair; nothing is cropped.
        bits: bits of the levels, uint8 or uint16; files of 8 bits and colour DICOM have 8.

    Raises:
        ImageError: as `read_image`.
    """
    with _naming(path, below):
        data, kind = _read_bytes(path)
        if kind == "DICOM":
            return read_dicom_pixels(data, reading, bits)
        return decode_raster(data, kind, reading, bits)


def read_stored(path: Path, below: Path | None = None, pages: Pages = "error") -> Stored:
    """Return the pixels of an image exactly as its file stores them.

    Only DICOM is mapped to 16 bits, as `read_levels` does with the whole range of its bits; equal
    levels stay equal.

    Args:
        path: see `read_header`.
        below: see `read_header`.
        pages: what is read of several pictures in a file.

    Raises:
        ImageError: as `read_image`.
    """
    with _naming(path, below):
        data, kind = _read_bytes(path)
        if kind == "DICOM":
            levels = read_dicom_pixels(data, Reading(stretch="none"), 16)
            return Stored(levels, kind, None, 16)
        return decode_stored(data, kind, pages)


def _read_bytes(path: Path) -> tuple[bytes, str]:
    """Return the bytes and the kind of a file; an unknown kind raises before it is read."""
    with path.open("rb") as file:
        kind = kind_of(file.read(HEAD_BYTES))
        file.seek(0)
        return file.read(), kind


@contextmanager
def _naming(path: Path, below: Path | None) -> Iterator[None]:
    """Turn errors raised inside into an ImageError that names the file."""
    name = path_in(below, path) if below is not None else path
    try:
        yield
    except UndecidedError as error:
        raise UndecidedImageError(f"cannot read {name}: {error}") from error
    except UnreadableError as error:
        raise ImageError(f"cannot read {name}: {error}") from error
    except FileNotFoundError:
        raise ImageError(
            f"cannot read {name}: it does not exist. Check the data folder, or copy the file to it."
        ) from None
    except OSError as error:
        raise ImageError(
            f"cannot read {name}: {error.strerror or error}. "
            "Check that it is a file and that you have permission to read it."
        ) from error
