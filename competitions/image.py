"""Any image file of a competition: its header, and its pixels as 8-bit gray or RGB.

What a file is, its first bytes say, not its name. DICOM is read in `goldfold.competitions.dicom`;
PNG and JPEG in `goldfold.competitions.raster`.
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
from goldfold.competitions.dicom import read_dicom_header, read_dicom_pixels
from goldfold.competitions.dicom_header import FACTS
from goldfold.competitions.find import path_in
from goldfold.competitions.head import crop_to_head
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
    """How the pixels of an image are seen.

    Attributes:
        windows: to see gray DICOM through instead of its own window.
        repair: mend the wrong intercept that some CT has.
        crop: `head` cuts the image to the square around the largest bright part.
        stretch: spread the levels of each PNG or JPEG, lowest to highest, over 0 to 255.
    """

    windows: tuple[Window, ...] = ()
    repair: bool = False
    crop: Crop = "none"
    stretch: bool = False


PLAIN = Reading()


def reading_of(images: ImageFiles) -> Reading:
    """Return how a competition's images are seen.

    Raises:
        InputError: a window has no such name.
    """
    windows = tuple(get_window(text) for text in images.windows)
    return Reading(windows, images.repair == "ct-intercept", images.crop, images.stretch == "image")


@dataclass(frozen=True)
class ImageHeader:
    """Size in pixels, and a text for each of `FACTS`, "" where the file does not say."""

    height: int
    width: int
    facts: dict[str, str]


def read_header(path: Path, below: Path | None = None) -> ImageHeader:
    """Return size and facts of an image; no pixel is decoded, but a cut-off file is noticed.

    Args:
        path: a DICOM, PNG or JPEG file.
        below: the folder from which messages name the file; its whole path unless given.

    Raises:
        ImageError: the file is missing, empty, no DICOM, PNG or JPEG, truncated, too large or of
            a kind that is not read; the message names it and says what to do.
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

    DICOM passes its modality LUT and its VOI LUT or first window, and MONOCHROME1 is inverted:
    0 is always black. Without a window, the values that its bits can hold are spread over 0 to 255.
    16-bit PNG is divided by 257, the same for every image, unless its levels are stretched.
    Transparency is dropped, colour becomes
    gray as 0.299 R + 0.587 G + 0.114 B, gray becomes three equal channels. An orientation noted
    in a JPEG is not applied: masks lie on the pixels as they are stored.

    Args:
        path: a DICOM, PNG or JPEG file.
        channels: 1 or 3.
        below: see `read_header`.
        reading: windows and the like; as many windows as channels become the channels, any other
            number must be one.

    Raises:
        ImageError: see `read_header`; also where the pixels cannot be decoded.
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
    """Return the pixels of an image as they are: (H, W) gray, (H, W, 3) RGB or one a window.

    Args:
        path: a DICOM, PNG or JPEG file.
        below: see `read_header`.
        windows: to see gray DICOM through instead of its own window.
        bits: of the levels, uint8 or uint16; JPEG and colour DICOM have 8.
        repair: mend the wrong intercept that some CT has.
        stretch: of PNG and JPEG as 8 bits: spread the image's own levels over 0 to 255.

    Raises:
        ImageError: as `read_image`.
    """
    with _naming(path, below):
        data, kind = _read_bytes(path)
        if kind == "DICOM":
            return read_dicom_pixels(data, windows, bits, repair)
        return decode_raster(data, kind, bits, stretch)


def read_stored(path: Path, below: Path | None = None) -> Stored:
    """Return the pixels of an image as its file stores them: no level is changed, none dropped.

    DICOM alone is spread over 16 bits, as `read_levels` does; equal levels stay equal.

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
    """Return a file's bytes and kind; of a file of no known kind only the first are read."""
    with path.open("rb") as file:
        kind = _kind(file.read(132))
        file.seek(0)
        return file.read(), kind


@contextmanager
def _naming(path: Path, below: Path | None) -> Iterator[None]:
    """Turn what goes wrong inside into an ImageError that names the file."""
    name = path_in(below, path) if below is not None else path
    try:
        yield
    except UnreadableError as error:
        raise ImageError(f"cannot read {name}: {error}") from error
    except FileNotFoundError:
        raise ImageError(
            f"cannot read {name}: it does not exist. Check the data folder, or copy the file there."
        ) from None
    except OSError as error:
        raise ImageError(
            f"cannot read {name}: {error.strerror or error}. "
            "Check that it is a file and that you may read it."
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
        f"it is no DICOM (no DICM at byte 128), PNG or JPEG file; it begins with {begins}",
        f"Copy or download it again, convert it, or {LEAVE_OUT}.",
    )
