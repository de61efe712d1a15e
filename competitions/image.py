"""Any image file of a competition: its header, and its pixels as 8-bit gray or RGB.

The format is recognised by the first bytes of the file, not by its name. DICOM is read in
`goldfold.competitions.dicom`, PNG and JPEG in `goldfold.competitions.raster`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.codestream import (
    JPEG_SIGNATURE,
    LEAVE_OUT,
    MAX_PIXELS,
    PNG_SIGNATURE,
    UnreadableError,
)
from goldfold.competitions.data_folder import path_in
from goldfold.competitions.dicom import read_dicom_header, read_dicom_pixels
from goldfold.competitions.dicom_header import FACTS
from goldfold.competitions.head_crop import crop_to_head
from goldfold.competitions.raster import Stored, decode_raster, decode_stored, raster_claim
from goldfold.competitions.window import Window, get_window
from goldfold.errors import ImageError
from goldfold.settings import ImageFiles
from goldfold.vocabulary import Crop

__all__ = [
    "FACTS",
    "MAX_PIXELS",
    "PLAIN",
    "ImageHeader",
    "Reading",
    "read_header",
    "read_image",
    "read_levels",
    "read_stored",
    "reading_of",
]


@dataclass(frozen=True)
class Reading:
    """How the pixels of an image are read.

    Attributes:
        windows: windows applied to gray DICOM instead of its own.
        repair: correct the wrong intercept of some CT images.
        crop: `head` crops the image to the square around the largest bright part.
        stretch: stretch the levels of each PNG or JPEG, lowest to highest, to 0 to 255.
    """

    windows: tuple[Window, ...] = ()
    repair: bool = False
    crop: Crop = "none"
    stretch: bool = False


PLAIN = Reading()


def reading_of(images: ImageFiles) -> Reading:
    """Return how the images of a competition are read.

    Raises:
        InputError: there is no window of that name.
    """
    windows = tuple(get_window(text) for text in images.windows)
    return Reading(windows, images.repair == "ct-intercept", images.crop, images.stretch == "image")


@dataclass(frozen=True)
class ImageHeader:
    """Size in pixels, and a text for each of `FACTS`, "" if it is not known."""

    height: int
    width: int
    facts: dict[str, str]


def read_header(path: Path, below: Path | None = None) -> ImageHeader:
    """Return size and facts of an image without decoding pixels; truncated files are detected.

    Args:
        path: a DICOM, PNG or JPEG file.
        below: folder relative to which messages name the file; None = full path.

    Raises:
        ImageError: the file is missing, empty, truncated, too large, not DICOM, PNG or JPEG, or of
            an unsupported kind; the message names it and says what to do.
    """
    with _naming(path, below), path.open("rb") as file:
        kind = _kind(file.read(132))
        file.seek(0)
        if kind == "DICOM":
            header = read_dicom_header(file)
            return ImageHeader(header.height, header.width, header.facts)
        claim = raster_claim(file, kind)
        return ImageHeader(
            claim.height, claim.width, dict.fromkeys(FACTS, "") | {"transfer_syntax": kind}
        )


def read_image(
    path: Path,
    channels: int = 1,
    below: Path | None = None,
    reading: Reading = PLAIN,
) -> NDArray[np.uint8]:
    """Return the pixels of an image: (H, W) uint8 for one channel, (H, W, 3) RGB for three.

    DICOM values pass the modality LUT and the VOI LUT or first window, and MONOCHROME1 is inverted:
    0 is always black. Without a window, the range of the stored bits is mapped to 0 to 255. 16-bit
    PNG is divided by 257, the same for every image, unless its levels are stretched. Transparency
    is dropped; colour becomes gray as 0.299 R + 0.587 G + 0.114 B; gray becomes three equal
    channels. The orientation in the EXIF data of a JPEG is not applied, because masks refer to the
    pixels as they are stored.

    Args:
        path: a DICOM, PNG or JPEG file.
        channels: 1 or 3.
        below: see `read_header`.
        reading: windows and other options; the number of windows is 0, 1 or `channels`.

    Raises:
        ImageError: as `read_header`, or the pixels cannot be decoded.
    """
    if channels not in (1, 3) or len(reading.windows) not in (0, 1, channels):
        raise ValueError(
            f"expected 1 or 3 channels, found {channels} and {len(reading.windows)} windows"
        )
    levels = read_levels(
        path, below, reading.windows, repair=reading.repair, stretch=reading.stretch
    )
    pixels = np.asarray(levels, np.uint8)
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
    windows: Sequence[Window] = (),
    bits: Literal[8, 16] = 8,
    *,
    repair: bool = False,
    stretch: bool = False,
) -> NDArray[np.uint8 | np.uint16]:
    """Return the pixels of an image: (H, W) gray, (H, W, 3) RGB, or one channel per window.

    Args:
        path: a DICOM, PNG or JPEG file.
        below: see `read_header`.
        windows: windows applied to gray DICOM instead of its own.
        bits: bits of the levels, uint8 or uint16; JPEG and colour DICOM have 8.
        repair: correct the wrong intercept of some CT images.
        stretch: stretch the levels of an 8-bit PNG or JPEG to 0 to 255.

    Raises:
        ImageError: as `read_image`.
    """
    with _naming(path, below):
        data, kind = _read_bytes(path)
        if kind == "DICOM":
            return read_dicom_pixels(data, windows, bits, repair)
        return decode_raster(data, kind, bits, stretch)


def read_stored(path: Path, below: Path | None = None) -> Stored:
    """Return the pixels of an image exactly as its file stores them.

    Only DICOM is mapped to 16 bits, as `read_levels` does; equal levels stay equal.

    Args:
        path: a DICOM, PNG or JPEG file.
        below: see `read_header`.

    Raises:
        ImageError: as `read_image`.
    """
    with _naming(path, below):
        data, kind = _read_bytes(path)
        if kind == "DICOM":
            return Stored(read_dicom_pixels(data, (), 16, False), kind)
        return decode_stored(data, kind)


def _read_bytes(path: Path) -> tuple[bytes, str]:
    """Return the bytes and the kind of a file; an unknown kind raises before it is read."""
    with path.open("rb") as file:
        kind = _kind(file.read(132))
        file.seek(0)
        return file.read(), kind


@contextmanager
def _naming(path: Path, below: Path | None) -> Iterator[None]:
    """Turn errors raised inside into an ImageError that names the file."""
    name = path_in(below, path) if below is not None else path
    try:
        yield
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


def _kind(start: bytes) -> str:
    """Return "DICOM", "PNG" or "JPEG", judged by the first 132 bytes of a file."""
    if start[128:132] == b"DICM":
        return "DICOM"
    if start.startswith(PNG_SIGNATURE):
        return "PNG"
    if start.startswith(JPEG_SIGNATURE):
        return "JPEG"
    if not start:
        raise UnreadableError("it is empty (0 bytes)")
    shown = start[:24]
    printable = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in shown)
    begins = (
        f"the text {shown.decode('ascii')!r}" if printable else f"the bytes {shown[:8].hex(' ')}"
    )
    raise UnreadableError(
        f"it is not a DICOM (no DICM at byte 128), PNG or JPEG file; it starts with {begins}",
        f"Copy or download it again, convert it, or {LEAVE_OUT}.",
    )
