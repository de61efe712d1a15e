"""A picture of an image with its prediction drawn on it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.files import write_bytes

_PREDICTED = (40, 120, 255)  # orange, in BGR order
_TRUE = (80, 200, 80)  # green
_LARGEST_SIDE, _SMALLEST_SIDE = 1024, 256


def draw_overlay(
    image: NDArray[np.uint8],
    levels: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    true: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Return three panels side by side: the image, its probability map, and the outlines.

    The outline of the predicted mask is orange, that of the true one green.

    Args:
        image: uint8 (H, W) or (H, W, 3) RGB.
        levels: 8-bit probability map (H, W).
        mask: predicted mask, uint8 (H, W) of 0 and 1.
        true: true mask, uint8 (H, W) of 0 and 1, None if it is not known.

    Returns:
        uint8 (h, 3 w, 3) in BGR order, as OpenCV writes it. The larger side of each panel has 256
        to 1024 px; small images are enlarged by an integer factor.
    """
    factor = -(-_SMALLEST_SIDE // max(mask.shape))
    if factor > 1:
        image, levels, mask = (_enlarged(pixels, factor) for pixels in (image, levels, mask))
        true = None if true is None else _enlarged(true, factor)
    colour = cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR
    plain = cv2.cvtColor(np.ascontiguousarray(image), colour)
    heat = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)
    share = 0.75 * np.sqrt(levels[:, :, None] / 255)  # low levels stay visible, level 0 is clear
    warm = (plain * (1 - share) + heat * share).astype(np.uint8)
    outlined = plain.copy()
    width = max(1, max(mask.shape) // 400)
    for outlined_mask, colour_bgr in ((true, _TRUE), (mask, _PREDICTED)):
        if outlined_mask is not None and outlined_mask.any():
            contours, _ = cv2.findContours(
                np.ascontiguousarray(outlined_mask), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
            )
            cv2.drawContours(outlined, contours, -1, colour_bgr, width)
    panels = np.concatenate([plain, warm, outlined], axis=1)
    side = max(mask.shape)
    if side > _LARGEST_SIDE:
        shrink = _LARGEST_SIDE / side
        panels = cv2.resize(panels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return panels.astype(np.uint8, copy=False)


def _enlarged(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return the pixels enlarged to squares of `factor` x `factor`."""
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def write_overlay(path: Path, panels: NDArray[np.uint8]) -> None:
    """Write panels as a PNG.

    Raises:
        OutputError: the file cannot be written.
    """
    _, content = cv2.imencode(".png", panels)
    write_bytes(path, content.tobytes())
