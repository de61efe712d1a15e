"""A contact sheet: many images with the outlines of their masks in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError
from goldfold.files import write_bytes

ByteImage = NDArray[np.uint8]

_TILE = 384
_GAP = 4
_OUTLINE_BGR = (0, 220, 255)


def draw_contact_sheet(
    images: Sequence[ByteImage], masks: Sequence[ByteImage], columns: int = 4
) -> ByteImage:
    """Return images with mask outlines side by side, (H, W, 3) uint8 in BGR order.

    Args:
        images: (h, w) uint8 each, of any size; each is fitted into a tile, which is square unless
            all images are wide.
        masks: (h, w) each, nonzero inside; empty ones have no outline.
        columns: number of tiles per row.

    Raises:
        InputError: no images, not as many masks as images, or a mask of another size.
    """
    _check(images, masks, columns)
    rows = -(-len(images) // columns)
    width = min(columns, len(images))
    tiles = [_outlined(image, mask) for image, mask in zip(images, masks, strict=True)]
    down, across = max(tile.shape[0] for tile in tiles) + _GAP, _TILE + _GAP
    sheet = np.zeros((rows * down - _GAP, width * across - _GAP, 3), np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * down, index % columns * across
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def write_contact_sheet(
    path: Path, images: Sequence[ByteImage], masks: Sequence[ByteImage], columns: int = 4
) -> None:
    """Write `draw_contact_sheet` as a PNG file, atomically.

    Raises:
        InputError: as `draw_contact_sheet`.
        OutputError: the file cannot be written.
    """
    _, png = cv2.imencode(".png", draw_contact_sheet(images, masks, columns))
    write_bytes(path, png.tobytes())


def _check(images: Sequence[ByteImage], masks: Sequence[ByteImage], columns: int) -> None:
    if not images or len(images) != len(masks) or columns < 1:
        raise InputError(
            "a contact sheet needs at least one image, one mask per image and one column; "
            f"found {len(images)} images, {len(masks)} masks, {columns} columns."
        )
    for index, (image, mask) in enumerate(zip(images, masks, strict=True)):
        if image.shape != mask.shape or image.ndim != 2:
            raise InputError(
                f"contact sheet: image {index} has shape {image.shape} and its mask {mask.shape}; "
                "both must be (height, width) and equal."
            )


def _outlined(image: ByteImage, mask: ByteImage) -> ByteImage:
    """Return the image fitted into a tile, with the outline of the mask, (h, w, 3)."""
    scale = _TILE / max(image.shape)
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    tile = cv2.cvtColor(cv2.resize(image, size, interpolation=method), cv2.COLOR_GRAY2BGR)
    contours, _ = cv2.findContours(fitted_mask(mask, size), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(tile, contours, -1, _OUTLINE_BGR, 1)
    outlined: ByteImage = tile
    return outlined


def fitted_mask(mask: ByteImage, size: tuple[int, int]) -> ByteImage:
    """Return a mask at another size, uint8 of 0 and 1; the smallest parts stay visible.

    Args:
        mask: (h, w), nonzero inside.
        size: width and height.
    """
    smaller = size[0] < mask.shape[1] or size[1] < mask.shape[0]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    shape = cv2.resize((mask != 0).astype(np.float32), size, interpolation=method)
    return np.asarray(shape > (0.0 if smaller else 0.5), np.uint8)
