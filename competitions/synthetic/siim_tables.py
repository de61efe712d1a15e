"""The rows of a synthetic SIIM label table, with the quirks of the real one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.rle import encode, get_dialect

ByteImage = NDArray[np.uint8]
Rows = list[tuple[str, str]]  # (image id, run-length encoding)

EMPTY = "-1"
_SIIM = get_dialect("siim")
_EMPTY_FORMS = ("-1", " -1", "")


def label_texts(masks: Sequence[ByteImage], second_reader: bool = False) -> list[str]:
    """Return the run-length encodings of one image: one per crescent, "-1" without any.

    Args:
        masks: (H, W) masks of the crescents.
        second_reader: add an overlapping row inside the first crescent; the union stays the same.
    """
    texts = [encode(mask, _SIIM) for mask in masks if mask.any()]
    if second_reader and texts:
        first = next(mask for mask in masks if mask.any())
        smaller = cv2.erode(np.ascontiguousarray(first), np.ones((3, 3), np.uint8))
        texts.append(encode(smaller if smaller.any() else first, _SIIM))
    return texts or [EMPTY]


def label_rows(image_ids: Iterable[str], texts: Mapping[str, list[str]]) -> Rows:
    """Return the rows of the label table, in the order of the ids."""
    return [(image_id, text) for image_id in image_ids for text in texts[image_id]]


def disturb_rows(rows: Rows, rng: np.random.Generator) -> Rows:
    """Return the rows shuffled, with SIIM's quirks: "-1", " -1" or "", and leading spaces."""
    disturbed = []
    for position in rng.permutation(len(rows)):
        image_id, text = rows[position]
        if text == EMPTY:
            text = _EMPTY_FORMS[int(rng.integers(len(_EMPTY_FORMS)))]
        elif rng.random() < 0.5:
            text = f" {text}"
        disturbed.append((image_id, text))
    return disturbed


def imageless_rows(image_ids: Sequence[str], size: int) -> Rows:
    """Return label rows of images that do not exist; every other one has a mask."""
    block = np.zeros((size, size), np.uint8)
    block[size // 4 : size // 2, size // 8 : size // 5] = 1
    return [
        (image_id, encode(block, _SIIM) if index % 2 == 0 else EMPTY)
        for index, image_id in enumerate(image_ids)
    ]
