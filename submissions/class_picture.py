"""A picture of an image with the probabilities of its classes beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE = 512  # pixels of the larger side of the image
_WIDTH, _LINE, _MARGIN = 360, 44, 12  # panel width, line height per class and margin, in pixels
_BAR, _TRUE, _LIMIT = (40, 120, 255), (80, 200, 80), (255, 255, 255)  # colours in BGR order


def draw_classes(
    image: NDArray[np.uint8],
    probability: Mapping[str, float],
    thresholds: Mapping[str, float],
    true: Sequence[str] | None = None,
) -> NDArray[np.uint8]:
    """Return the image with a bar for each class to its right.

    A white line marks the threshold; the names of the true classes are green, if they are known.
    Characters that OpenCV's font lacks are drawn as question marks.

    Args:
        image: uint8 (H, W) or (H, W, 3) RGB.
        probability: class name -> probability.
        thresholds: class name -> threshold, for the classes that have one.
        true: names of the true classes.

    Returns:
        uint8 (h, w, 3) in BGR order, as OpenCV writes it.
    """
    colour = cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR
    plain = cv2.cvtColor(np.ascontiguousarray(image), colour)
    factor = _SIDE / max(plain.shape[:2])
    size = (max(1, round(plain.shape[1] * factor)), max(1, round(plain.shape[0] * factor)))
    plain = cv2.resize(plain, size, interpolation=cv2.INTER_AREA)
    height = max(plain.shape[0], len(probability) * _LINE + 2 * _MARGIN)
    picture = np.zeros((height, plain.shape[1] + _WIDTH, 3), np.uint8)
    picture[: plain.shape[0], : plain.shape[1]] = plain
    left, length = plain.shape[1] + _MARGIN, _WIDTH - 2 * _MARGIN
    for number, (name, value) in enumerate(probability.items()):
        top = _MARGIN + number * _LINE
        ink = _TRUE if true is not None and name in true else _LIMIT
        text = f"{name} {value:.3f}"
        place = (left, top + 16)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, 1, cv2.LINE_AA)
        bar = (left + round(length * min(max(value, 0.0), 1.0)), top + 32)
        cv2.rectangle(picture, (left, top + 22), bar, _BAR, cv2.FILLED)
        if name in thresholds:
            limit = left + round(length * min(max(thresholds[name], 0.0), 1.0))
            cv2.line(picture, (limit, top + 19), (limit, top + 35), _LIMIT, 2)
    return picture
