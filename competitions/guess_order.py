"""Decides how the pixels of masks are counted: by their compactness, or by their images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from goldfold.competitions.dialect import Dialect, get_dialect
from goldfold.competitions.order_by_images import LEVEL, order_by_images
from goldfold.competitions.pixel_runs import Runs, mask_of_runs
from goldfold.competitions.run_parts import count_parts
from goldfold.errors import plural
from goldfold.settings_text import to_value
from goldfold.vocabulary import PixelOrder

Size = tuple[int, int]
WORDS = {"column": "down the columns", "row": "along the rows"}
MOST_MASKS, MOST_IMAGES = 200, 300
"""Masks whose parts are counted, and images that are read, at most."""
_LARGEST_PX = 40_000_000
"""Masks of more pixels are not decoded."""
_RATIO, _MORE_PARTS, _AGREED = 1.5, 8, 0.9


@dataclass(frozen=True)
class PlacedMask:
    """A mask as runs in the order in which its pixels are counted, and the size of its image.

    Attributes:
        runs: of the mask.
        size: height and width that the runs refer to.
        place: number of the cell.
    """

    runs: Runs
    size: Size
    place: int


@dataclass(frozen=True)
class OrderGuess:
    """How pixels are counted.

    Attributes:
        order: the order, None if nothing tells.
        evidence: a line that says what tells, or why nothing does.
    """

    order: PixelOrder | None
    evidence: str


def guess_order(
    masks: Sequence[PlacedMask],
    image: Callable[[int], NDArray[np.uint8] | None] | None = None,
) -> OrderGuess:
    """Return in which order pixels are counted.

    Args:
        masks: masks with pixels.
        image: number of a cell -> its image, (H, W) or (H, W, C) uint8, None if it cannot be read.
    """
    by_parts = order_by_parts(masks)
    if by_parts.order is not None or image is None:
        return by_parts
    verdict = order_by_images(
        (
            pixels,
            mask_of_runs(mask.runs, *mask.size, "column"),
            mask_of_runs(mask.runs, *mask.size, "row"),
        )
        for mask, pixels in _images_of(masks, image)
    )
    if verdict.order is None:
        return OrderGuess(
            None,
            f"{by_parts.evidence}; {plural(verdict.masks, 'image', 'images')} with a mask "
            f"{'does' if verdict.masks == 1 else 'do'} not tell either",
        )
    return OrderGuess(
        verdict.order,
        f"pixels are counted {WORDS[verdict.order]}: so {verdict.share:.0%} of "
        f"{plural(verdict.masks, 'mask', 'masks')} fit their images better than in the other order "
        f"(sign test, p = {verdict.p_value:.1g})",
    )


def order_by_parts(masks: Sequence[PlacedMask]) -> OrderGuess:
    """Return in which order pixels are counted if the compactness of the masks tells."""
    oblong = [mask for mask in masks if mask.size[0] != mask.size[1]]
    if not oblong:
        reason = "no mask is known" if not masks else "height equals width in all images"
        return OrderGuess(None, f"the numbers do not tell how pixels are counted: {reason}")
    oblong = evenly(oblong, MOST_MASKS)
    column = np.array([count_parts(mask.runs, mask.size[0]) for mask in oblong])
    row = np.array([count_parts(mask.runs, mask.size[1]) for mask in oblong])
    order: PixelOrder = "column" if column.sum() <= row.sum() else "row"
    right, wrong = (column, row) if order == "column" else (row, column)
    count = plural(len(oblong), "mask", "masks")
    if not is_clear(right, wrong, ratio=_RATIO):
        return OrderGuess(
            None,
            f"the numbers do not tell how pixels are counted: {count} fall into "
            f"{column.mean():.1f} parts on average down the columns, into {row.mean():.1f} along "
            "the rows",
        )
    return OrderGuess(
        order,
        f"pixels are counted {WORDS[order]}: so {count} fall into {right.mean():.1f} parts on "
        f"average, in the other order into {wrong.mean():.1f}",
    )


def order_problems(
    masks: Sequence[PlacedMask], dialect: Dialect, table: str, submission: Dialect
) -> list[str]:
    """Return a problem if the compactness of masks contradicts their dialect, else nothing.

    Args:
        masks: masks with pixels.
        dialect: in which they were read.
        table: name of the label table.
        submission: dialect of the submission, which is named if it has the same order.
    """
    by_parts = order_by_parts(masks)
    if by_parts.order in (None, dialect.order):
        return []
    lines = [f"competition.labels.dialect = {_in_order(dialect, by_parts.order)}"]
    if submission.order == dialect.order:
        lines.append(f"competition.submission.dialect = {_in_order(submission, by_parts.order)}")
    return [
        f"the dialect of {table} has the wrong order: {by_parts.evidence}. "
        f"Set {' and '.join(lines)}"
    ]


def _in_order(dialect: Dialect, order: PixelOrder | None) -> str:
    return to_value(get_dialect({**dialect.table(), "order": order}).setting())


def evenly(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many items, evenly spaced."""
    if len(items) <= most:
        return list(items)
    return [items[place] for place in np.linspace(0, len(items) - 1, most).astype(int)]


def is_clear(right: NDArray[np.int64], wrong: NDArray[np.int64], *, ratio: float) -> bool:
    """Return whether masks have clearly fewer parts in one reading than in another.

    Args:
        right: (N,) parts of each mask in the reading that seems to be right.
        wrong: (N,) parts of each mask in the other one.
        ratio: how many times as many parts the other one must have in all.
    """
    fewer, more = int((right < wrong).sum()), int((right > wrong).sum())
    if not fewer or wrong.sum() < ratio * right.sum():
        return False
    if fewer < _AGREED * (fewer + more):
        return False
    significant = binomtest(fewer, fewer + more).pvalue < LEVEL
    return bool(significant or wrong.sum() >= right.sum() + _MORE_PARTS)


def _images_of(
    masks: Sequence[PlacedMask], image: Callable[[int], NDArray[np.uint8] | None]
) -> Iterator[tuple[PlacedMask, NDArray[np.uint8]]]:
    """Yield masks with their images; of several masks of an image only the first."""
    small = [mask for mask in masks if mask.size[0] * mask.size[1] <= _LARGEST_PX]
    seen = set()
    for mask in evenly(small, MOST_IMAGES):
        pixels = image(mask.place)
        if pixels is None or pixels.shape[:2] != mask.size:
            continue
        digest = hashlib.sha256(pixels.tobytes()).digest()
        if digest not in seen:
            seen.add(digest)
            yield mask, pixels
