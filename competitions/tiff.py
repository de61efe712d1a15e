"""TIFF files, read by tifffile: striped, tiled, planar, of any byte order, depth or compression."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from goldfold.competitions.codestream import (
    LEAVE_OUT,
    Claim,
    UnreadableError,
    require_plausible_size,
)
from goldfold.competitions.pydicom_silence import PYDICOM_SILENCE
from goldfold.competitions.stored import Palette, Stored

if TYPE_CHECKING:
    import tifffile

_INVERTED, _GRAY, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_NAMES = {5: "CMYK", 8: "CIELAB", 9: "ICCLAB", 32803: "a colour filter array"}
_JPEG, _WEBP = (6, 7), (50001, 34927)
_PLANAR = 2
_ALPHA = (1, 2)  # kinds of further samples
_ORIENTATION = 274
_CONVERT = f"Convert it to PNG, or {LEAVE_OUT}."


def tiff_claim(file: BinaryIO) -> Claim:
    """Return what the first picture of a TIFF file claims, and how many pictures there are.

    Raises:
        UnreadableError: it is damaged, truncated, too large, or of a kind that is not read.
    """
    with _opened(file) as tiff:
        return _checked(tiff)


def decode_tiff(file: BinaryIO) -> Stored:
    """Return the first picture of a TIFF file: gray (H, W), RGB or RGBA.

    Levels of fewer than 8 bits stay low. 0 is black, also in files that store white as 0.

    Raises:
        UnreadableError: as `tiff_claim`, or the pixels cannot be decoded.
    """
    with _opened(file) as tiff:
        claim, page = _checked(tiff), tiff.pages.first
        pixels = np.asarray(page.asarray(squeeze=False, maxworkers=1))
        planar = page.planarconfig == _PLANAR and page.samplesperpixel > 1
        pixels = np.moveaxis(pixels[:, 0, ..., 0], 0, 2) if planar else pixels[0, 0]
        if pixels.shape != (claim.height, claim.width, claim.channels):
            raise UnreadableError(f"its pixels are {pixels.shape}, not what its header says")
        if pixels.dtype == bool:
            pixels = pixels.astype(np.uint8)
        if page.photometric == _INVERTED:
            pixels = (2**claim.bits - 1 - pixels.astype(np.int64)).astype(pixels.dtype)
        pixels = pixels[..., 0] if claim.channels < 3 else pixels[..., :4]
        lossy = page.compression in _JPEG + _WEBP
        native = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
        return Stored(native, "TIFF", _palette(page), claim.bits, lossy)


@contextmanager
def _opened(file: BinaryIO) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file in silence; whatever its parser raises becomes an UnreadableError."""
    import tifffile  # 60 ms

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    try:
        with PYDICOM_SILENCE, tifffile.TiffFile(file) as tiff:
            yield tiff
    except UnreadableError:
        raise
    except Exception as error:  # a parser that meets broken bytes may raise anything
        words = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableError(f"the TIFF is damaged and cannot be decoded ({words})") from error


def _checked(tiff: tifffile.TiffFile) -> Claim:
    """Return what the first picture claims, after checking that it can be decoded."""
    page = tiff.pages.first
    height, width, bits = page.imagelength, page.imagewidth, page.bitspersample
    require_plausible_size(height, width)
    _require_known_pixels(page)
    _require_whole(tiff, page)
    tag = page.tags.get(_ORIENTATION)
    turned = int(tag.value) if tag is not None and isinstance(tag.value, int) else 1
    return Claim(height, width, page.samplesperpixel, bits, _pictures(tiff), turned)


def _require_known_pixels(page: Any) -> None:
    kind, samples = int(page.photometric), page.samplesperpixel
    in_jpeg = kind == _YCBCR and page.compression in _JPEG
    if kind not in (_INVERTED, _GRAY, _RGB, _PALETTE) and not in_jpeg:
        name = _NAMES.get(kind, f"of photometric interpretation {kind}")
        raise UnreadableError(f"its pixels are {name}; expected gray, RGB or a palette", _CONVERT)
    further = samples - len(page.extrasamples)
    with_alpha = samples == 2 and tuple(page.extrasamples)[:1] and page.extrasamples[0] in _ALPHA
    if samples not in (1, 3, 4) and not with_alpha:
        raise UnreadableError(
            f"it has {samples} channels ({further} of them colours); expected 1, 3, or 4 with "
            "transparency",
            f"Write the channels that matter to a file of one or three, or {LEAVE_OUT}.",
        )
    if kind == _INVERTED and page.dtype is not None and page.dtype.kind not in "bu":
        raise UnreadableError("its white is 0, and its numbers have no highest", _CONVERT)
    if page.imagedepth > 1 or page.dtype is None or page.dtype.kind not in "buif":
        raise UnreadableError("its pixels are not numbers in a plane", _CONVERT)


def _require_whole(tiff: tifffile.TiffFile, page: Any) -> None:
    """Raise an error unless all strips or tiles are there."""
    size = tiff.filehandle.size
    counts = page.databytecounts
    if len(page.dataoffsets) != len(counts) or not counts or not any(counts):
        raise UnreadableError("the TIFF is truncated or damaged: it has no pixel data")
    end = max(offset + count for offset, count in zip(page.dataoffsets, counts, strict=True))
    if end > size:
        raise UnreadableError(f"the TIFF is truncated: its pixels end at byte {end:,} of {size:,}")


def _pictures(tiff: tifffile.TiffFile) -> int:
    """Return how many pictures there are; smaller copies of the first do not count."""
    first = tiff.pages.first
    further = sum(
        not (page.imagewidth < first.imagewidth and page.imagelength < first.imagelength)
        for page in tiff.pages[1:]
    )
    stack = (tiff.imagej_metadata or {}).get("images", 1) if tiff.is_imagej else 1
    return max(1 + further, int(stack))


def _palette(page: Any) -> Palette | None:
    if page.photometric != _PALETTE or page.colormap is None:
        return None
    colours = np.asarray(page.colormap)
    if colours.max(initial=0) > 255:
        colours = colours >> 8
    return tuple((int(red), int(green), int(blue)) for red, green, blue in colours.T)
