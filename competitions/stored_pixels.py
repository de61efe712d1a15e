"""Pixels exactly as a file stores them, for files whose levels mean something."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from goldfold.competitions.codestream import UnreadableError, require_plausible_size
from goldfold.competitions.data_folder import path_in
from goldfold.competitions.image import read_stored
from goldfold.competitions.stored import Stored
from goldfold.errors import ImageError

_STARTS = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF8": "GIF",
    b"BM": "BMP",
}
_LOSSY_TIFF = ("jpeg", "tiff_jpeg", "webp", "jpeg2000")
_PALETTES = ("TIFF",)  # the others' encoders number colours as they like


def read_stored_pixels(path: Path, below: Path | None = None) -> tuple[Stored, bool]:
    """Return the pixels of a file as they are stored, and whether its compression changes levels.

    Besides the files of `read_stored`: TIFF, GIF, BMP and WEBP, also signed (int32) and with
    floating-point levels (float32). Palettes of GIF and BMP become their colours, because encoders
    order them as they like; gray palettes become gray levels. Transparency is kept.

    Args:
        path: of the file.
        below: folder relative to which messages name the file; None = full path.

    Raises:
        ImageError: the file cannot be read, or has several pages or frames.
    """
    try:
        with path.open("rb") as file:
            kind = _kind(file.read(16))
            file.seek(0)
            data = file.read() if kind else b""
    except OSError:
        kind, data = "", b""  # which `read_stored` words
    if not kind:
        stored = read_stored(path, below)
        return stored, stored.kind == "JPEG"
    try:
        return _decoded(data, kind)
    except UnreadableError as error:
        name = path_in(below, path) if below is not None else path
        raise ImageError(f"cannot read {name}: {error}") from error


def _kind(start: bytes) -> str:
    """Return TIFF, GIF, BMP or WEBP, judged by the first 16 bytes; "" for other files."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for begin, kind in _STARTS.items() if start.startswith(begin)), "")


def _decoded(data: bytes, kind: str) -> tuple[Stored, bool]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            require_plausible_size(image.height, image.width)
            frames = getattr(image, "n_frames", 1)
            if frames > 1:
                pages = "pages" if kind == "TIFF" else "frames"
                raise UnreadableError(
                    f"it has {frames} {pages}, but a mask file belongs to one image",
                    "Write one file per page.",
                )
            lossy = _is_lossy(image, data, kind)
            palette = image.getpalette("RGB") if image.mode == "P" else None
            pixels = _pixels_of(image)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        # Pillow lacks some forms of TIFF, such as 16-bit RGB.
        decoded = _by_opencv(data) if kind == "TIFF" else None
        if decoded is None:
            raise UnreadableError(
                f"the {kind} is damaged, or of a form that is not read"
            ) from error
        return Stored(_in_rgb_order(np.asarray(decoded)), kind), False
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UnreadableError(f"the {kind} is damaged and cannot be decoded") from error
    if palette is None:
        return Stored(pixels, kind), lossy
    colours = np.array(palette, int).reshape(-1, 3)
    if kind in _PALETTES:
        return Stored(pixels, kind, tuple((r, g, b) for r, g, b in colours.tolist())), lossy
    table = np.zeros((256, 3), np.uint8)
    table[: len(colours)] = colours
    return Stored(table[pixels], kind), lossy


def _pixels_of(image: Image.Image) -> NDArray[Any]:
    """Return the pixels of an opened file: (H, W), (H, W, 3) or, with transparency, (H, W, 4)."""
    image.load()
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode == "P" and "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    if image.mode == "LA":
        return np.asarray(image.convert("RGBA"))
    if image.mode in ("L", "P", "RGB", "RGBA", "I", "F") or image.mode.startswith("I;16"):
        return np.asarray(image)
    if image.mode == "RGBX":
        return np.asarray(image)[..., :3]
    raise UnreadableError(
        f"its pixels have the form {image.mode}, from which no levels are read",
        "Convert the file to PNG.",
    )


def _by_opencv(data: bytes) -> NDArray[Any] | None:
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return None if decoded is None else np.asarray(decoded)


def _in_rgb_order(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.ndim < 3 or pixels.shape[2] < 3:
        return pixels if pixels.ndim < 3 else pixels[..., 0]
    order = [2, 1, 0, 3][: pixels.shape[2]]
    return np.ascontiguousarray(pixels[..., order])


def _is_lossy(image: Image.Image, data: bytes, kind: str) -> bool:
    if kind == "TIFF":
        return str(image.info.get("compression", "")) in _LOSSY_TIFF
    # A WEBP file of lossless pixels has a chunk VP8L, one of lossy pixels a chunk "VP8 ".
    return kind == "WEBP" and re.search(rb"VP8L", data[:4096]) is None
