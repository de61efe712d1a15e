"""Masks as runs of pixels: converting, merging, counting and intersecting them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError
from goldfold.vocabulary import PixelOrder

Order = PixelOrder
"""How pixels are counted: `column` = down the first column, then the next; `row` = along rows."""

_WORD = np.dtype(np.uint64)


@dataclass(frozen=True, eq=False)
class Runs:
    """The pixels of a mask as sorted runs that neither overlap nor touch."""

    starts: NDArray[np.int64]
    """(R,) first pixel of each run, counted from 0."""
    lengths: NDArray[np.int64]
    """(R,) number of pixels in each run, at least 1."""

    @property
    def ends(self) -> NDArray[np.int64]:
        """Return (R,) the position after the last pixel of each run."""
        return self.starts + self.lengths

    def __len__(self) -> int:
        return len(self.starts)


NO_RUNS = Runs(np.empty(0, np.int64), np.empty(0, np.int64))


def area_px(runs: Runs) -> int:
    """Return the number of pixels in the mask."""
    return int(runs.lengths.sum())


def merge_runs(parts: Sequence[Runs]) -> Runs:
    """Return the runs of all pixels that are in at least one part.

    The parts may overlap or touch. All must count their pixels in the same order.

    >>> first, second = (Runs(np.array([s]), np.array([n])) for s, n in [(4, 3), (6, 5)])
    >>> both = merge_runs([first, second])
    >>> both.starts.tolist(), both.lengths.tolist()
    ([4], [7])
    """
    if not parts:
        return NO_RUNS
    if len(parts) == 1 and (parts[0].starts[1:] > parts[0].ends[:-1]).all():
        return parts[0]  # true of nearly every cell of a label table
    starts = np.concatenate([part.starts for part in parts]).astype(np.int64, copy=False)
    ends = np.concatenate([part.ends for part in parts]).astype(np.int64, copy=False)
    if not starts.size:
        return NO_RUNS
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    breaks = np.flatnonzero(starts[1:] > ends[:-1])
    starts = starts[np.concatenate([[0], breaks + 1])]
    ends = ends[np.concatenate([breaks, [ends.size - 1]])]
    return Runs(starts, ends - starts)


def without_repeats(masks: Sequence[Runs]) -> list[Runs]:
    """Return the masks in order, without those that equal an earlier one."""
    kept: dict[bytes, Runs] = {}
    for mask in masks:
        kept.setdefault(mask.starts.tobytes() + mask.lengths.tobytes(), mask)
    return list(kept.values())


def intersection_px(first: Runs, second: Runs) -> int:
    """Return the number of pixels in both masks, without decoding them.

    Both must count their pixels in the same order.
    """
    if not len(first) or not len(second):
        return 0
    return int((_pixels_before(first, second.ends) - _pixels_before(first, second.starts)).sum())


def _pixels_before(runs: Runs, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of pixels of the mask before each position."""
    run = np.searchsorted(runs.starts, positions, side="right") - 1
    full = np.concatenate([[0], np.cumsum(runs.lengths)])
    current = np.maximum(run, 0)
    inside = np.clip(positions - runs.starts[current], 0, runs.lengths[current])
    return np.where(run < 0, 0, full[current] + inside)


def runs_of_mask(mask: NDArray[Any], order: Order) -> Runs:
    """Return the runs of the nonzero pixels.

    Only the bounding box is searched, which is tiny for a small mask in a large image.

    Args:
        mask: (H, W) booleans or integers, nonzero inside.
        order: order in which the pixels are counted.

    Raises:
        InputError: the mask is not two-dimensional, or is not of booleans or integers.
    """
    if mask.ndim != 2 or not (mask.dtype == np.bool_ or np.issubdtype(mask.dtype, np.integer)):
        raise InputError(
            f"expected a mask of shape (H, W) with booleans or whole numbers, found shape "
            f"{mask.shape} with {mask.dtype}. Threshold probabilities and drop other axes first."
        )
    top, bottom, left, right = _bounding_box(mask)
    if top == bottom:
        return NO_RUNS
    crop = mask[top:bottom, left:right] != 0
    if order == "column":
        return _runs_of_lines(crop.T, first_line=left, first_pixel=top, stride=mask.shape[0])
    return _runs_of_lines(crop, first_line=top, first_pixel=left, stride=mask.shape[1])


def mask_of_runs(runs: Runs, height: int, width: int, order: Order) -> NDArray[np.uint8]:
    """Return the mask, (H, W) uint8 of 0 and 1; in column order it is a transposed view.

    The runs must lie inside the image, as `rle.parse` with `pixels` ensures.
    """
    counts = np.empty(2 * len(runs) + 1, np.int64)  # pixels outside, inside, ..., inside, outside
    starts, ends = runs.starts, runs.ends
    counts[1::2] = runs.lengths
    counts[0:-1:2] = starts
    counts[2:-1:2] -= ends[:-1]
    counts[-1] = height * width - (ends[-1] if len(ends) else 0)
    values = np.zeros(counts.size, np.uint8)
    values[1::2] = 1
    pixels = np.repeat(values, counts)
    if order == "column":
        return pixels.reshape(width, height).T
    return pixels.reshape(height, width)


def _bounding_box(mask: NDArray[Any]) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of the nonzero pixels; bottom and right are exclusive."""
    if not mask.flags.c_contiguous and mask.T.flags.c_contiguous:
        left, right, top, bottom = _bounding_box(mask.T)
        return top, bottom, left, right
    # Eight one-byte pixels are examined as one word if the memory layout allows it.
    bytewise = mask.dtype.itemsize == 1
    aligned = mask.flags.c_contiguous and mask.shape[1] % _WORD.itemsize == 0
    words = mask.view(_WORD) if bytewise and aligned and mask.size else mask
    rows = np.flatnonzero(np.bitwise_or.reduce(words, axis=1))
    if not rows.size:
        return 0, 0, 0, 0
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(np.bitwise_or.reduce(words[top:bottom], axis=0).view(mask.dtype))
    return top, bottom, int(columns[0]), int(columns[-1]) + 1


def _runs_of_lines(
    lines: NDArray[np.bool_], *, first_line: int, first_pixel: int, stride: int
) -> Runs:
    """Return the runs along axis 1 of a part of an image whose lines have `stride` pixels."""
    count, length = lines.shape
    changes = np.zeros((count, length + 1), np.bool_)  # True where a pixel differs from the last
    changes[:, :length] = lines
    changes[:, 1:] ^= lines
    line, pixel = np.divmod(np.flatnonzero(changes), length + 1)
    edges = (line + first_line) * stride + pixel + first_pixel
    starts, ends = edges[0::2], edges[1::2]
    if length == stride:  # a run at the end of a line may continue in the next line
        apart = starts[1:] != ends[:-1]
        starts = starts[np.concatenate([[True], apart])]
        ends = ends[np.concatenate([apart, [True]])]
    return Runs(starts, ends - starts)
