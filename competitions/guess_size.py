"""Recognises masks that refer to another size than that of their images, by their compactness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.guess_order import PlacedMask, Size, evenly, is_clear
from goldfold.competitions.run_parts import count_parts

_FEWEST, _MASKS = 5, 40
_WHOLE = 0.6
"""Where masks reach beyond this share of the pixels, they refer to the whole image."""
_FILLED = 0.95
"""A size is certain if some mask reaches the last pixels of it."""
_CLEARER_IF_FILLED, _CLEARER = 1.3, 3.0
_FACTORS = (1 / 8, 1 / 6, 1 / 5, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 3 / 2, 2.0, 3.0, 4.0)
_SQUARES = (64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024, 2048)


@dataclass(frozen=True)
class SizeGuess:
    """Height and width that masks refer to.

    Attributes:
        size: None where it is that of the images.
        evidence: a line that says what tells.
        question: what to ask if one side is only likely, None if it is certain.
    """

    size: Size | None = None
    evidence: str = ""
    question: str | None = None


def guess_size(masks: Sequence[PlacedMask]) -> SizeGuess:
    """Return the size that all masks refer to if it is not that of their images.

    Masks that refer to smaller images lie in the first pixels of theirs, and fall apart where their
    lines are taken for longer ones than they are. A size is named only if all masks fit it and have
    clearly fewer parts.

    Args:
        masks: their runs, and the sizes of their images.
    """
    sized = [mask for mask in masks if min(mask.size)]
    if len(sized) < _FEWEST:
        return SizeGuess()
    ends = np.array([int(mask.runs.ends[-1]) for mask in sized])
    pixels = np.array([mask.size[0] * mask.size[1] for mask in sized])
    inside = bool((ends <= pixels).all())
    if inside and (ends / pixels).max() > _WHOLE:
        return SizeGuess()
    some, last = evenly(sized, _MASKS), int(ends.max())
    known = _sizes({mask.size for mask in sized})
    trials = [_parts(some, size) for size in known if last <= size[0] * size[1]]
    fitting = [size for size in known if last <= size[0] * size[1]]
    if not fitting:
        return SizeGuess()
    best = min(range(len(fitting)), key=lambda place: (int(trials[place].sum()), place))
    size, parts, own = fitting[best], trials[best], _parts(some, None)
    filled = last > _FILLED * size[0] * size[1]
    if not is_clear(parts, own, ratio=_CLEARER_IF_FILLED if filled else _CLEARER):
        return SizeGuess()
    question = (
        f"Do masks refer to images of {size[0]} x {size[1]} pixels? One of the sides follows from "
        "their compactness, the other one only from the shape of the images. Set "
        "competition.labels.size."
    )
    return SizeGuess(
        size,
        f"masks refer to images of {size[0]} x {size[1]} pixels: so they fall into "
        f"{parts.mean():.1f} parts on average, at the size of the images into {own.mean():.1f}; no "
        f"mask reaches beyond pixel {last:,}",
        None if filled or inside else question,
    )


def _parts(masks: Sequence[PlacedMask], size: Size | None) -> NDArray[np.int64]:
    """Return (N,) how many parts masks have at a size, in the better order for all of them.

    Without a size, each mask is taken at its own.
    """
    counts = [
        np.array([count_parts(mask.runs, (size or mask.size)[side]) for mask in masks])
        for side in (0, 1)
    ]
    return min(counts, key=lambda count: int(count.sum()))


def _sizes(own: set[Size]) -> list[Size]:
    """Return sizes that are usual for images of these sizes; the most usual ones first."""
    squares = [(side, side) for side in _SQUARES]
    if len(own) > 1:
        return squares
    height, width = next(iter(own))
    scaled = [(round(height * factor), round(width * factor)) for factor in _FACTORS]
    return list(dict.fromkeys([*scaled, *squares]))
