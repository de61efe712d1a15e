"""Pixels as a file stores them, before anything is decided about black and white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Palette = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Stored:
    """Pixels as the file stores them.

    Attributes:
        pixels: uint8 or uint16, of TIFF any number; (H, W) gray levels or palette indices,
            (H, W, 3) RGB or (H, W, 4) RGBA.
        kind: DICOM, PNG, JPEG, TIFF, GIF, BMP or WEBP.
        palette: red, green and blue of each index, if the pixels are indices.
        bits: of a level.
        lossy: whether levels change when the file is written, as in JPEG.
    """

    pixels: NDArray[Any]
    kind: str
    palette: Palette | None = None
    bits: int = 8
    lossy: bool = False
