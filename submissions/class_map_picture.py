"""A picture of an image with the class of each pixel in colours."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_maps import IGNORED_NUMBER

_SMALLEST, _LARGEST = 256, 1024  # larger side of a panel, in pixels
_SHARE = 0.55  # of the colour over the image
_LINE, _LEGEND = 22, 220  # height of a class's line and width of the legend, in pixels
_IGNORED = (60, 60, 60)
_GOLDEN = 0.618034  # turn of the hue from class to class: neighbours differ most


def class_colour(number: int) -> tuple[int, int, int]:
    """Return the colour of a class in BGR order; the background is black."""
    if number == 0:
        return 0, 0, 0
    hue = (number * _GOLDEN) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.9 if number % 2 else 0.6, 1.0)
    return round(255 * blue), round(255 * green), round(255 * red)


def draw_class_maps(
    image: NDArray[np.uint8],
    decided: NDArray[np.uint8],
    classes: Sequence[str],
    true: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Return panels side by side: the image, its classes, its true ones if known, and a legend.

    Characters that OpenCV's font lacks are drawn as question marks.

    Args:
        image: uint8 (H, W) or (H, W, 3) RGB.
        decided: class of each pixel, uint8 (H, W).
        classes: names of the classes.
        true: likewise, 255 where there is none.

    Returns:
        uint8 (h, w, 3) in BGR order, as OpenCV writes it.
    """
    colour = cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR
    plain = cv2.cvtColor(np.ascontiguousarray(image), colour)
    panels = [
        plain,
        *(_coloured(plain, numbers) for numbers in (decided, true) if numbers is not None),
    ]
    side = max(plain.shape[:2])
    factor = min(max(1.0, np.ceil(_SMALLEST / side)), max(1.0, _LARGEST / side))
    factor = _LARGEST / side if side > _LARGEST else factor
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    panels = [cv2.resize(panel, None, fx=factor, fy=factor, interpolation=how) for panel in panels]
    present = {*np.unique(decided).tolist(), *(() if true is None else np.unique(true).tolist())}
    shown = sorted(present - {IGNORED_NUMBER})
    height = max(panels[0].shape[0], (len(shown) + 1) * _LINE)
    width = sum(panel.shape[1] for panel in panels)
    picture = np.zeros((height, width + _LEGEND, 3), np.uint8)
    picture[: panels[0].shape[0], :width] = np.concatenate(panels, axis=1)
    for line, number in enumerate(shown):
        top = _LINE // 2 + line * _LINE
        corners = (width + 8, top), (width + 22, top + 14)
        cv2.rectangle(picture, *corners, class_colour(number), cv2.FILLED)
        cv2.rectangle(picture, *corners, (255, 255, 255), 1)
        place = (width + 30, top + 12)
        text = classes[number]
        cv2.putText(
            picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA
        )
    return picture


def _coloured(plain: NDArray[np.uint8], class_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the image with the colours of the classes over it; the background stays clear."""
    colours = np.array([class_colour(number) for number in range(256)], np.float32)
    colours[IGNORED_NUMBER] = _IGNORED
    mixed = plain * (1 - _SHARE) + colours[class_map] * _SHARE
    return np.where((class_map == 0)[..., None], plain, mixed.astype(np.uint8))
