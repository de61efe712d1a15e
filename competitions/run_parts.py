"""What runs alone tell of how pixels are counted, without decoding a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from goldfold.competitions.pixel_runs import Runs


def count_parts(runs: Runs, line_px: int) -> int:
    """Return how many parts a mask has whose lines have that many pixels.

    A part is connected through sides and corners. Lines are columns where pixels are counted down
    the columns, so `line_px` is the height there, and the width where they are counted along rows.
    Masks that are read in the wrong order fall apart.

    >>> square = Runs(np.array([11, 21, 31]), np.array([3, 3, 3]))
    >>> count_parts(square, 10), count_parts(square, 14)
    (1, 3)
    """
    starts, ends = _cut_at_lines(runs, line_px)
    first = np.searchsorted(ends, starts + line_px, side="left")
    last = np.searchsorted(starts, ends + line_px, side="right")
    # A run that ends its line does not touch what begins the line after the next.
    line = starts // line_px
    last = np.minimum(last, np.searchsorted(starts, (line + 2) * line_px, side="left"))
    first = np.maximum(first, np.searchsorted(starts, (line + 1) * line_px, side="left"))
    several = np.maximum(last - first, 0)
    here = np.repeat(np.arange(starts.size), several)
    offset = np.arange(here.size) - np.repeat(np.cumsum(several) - several, several)
    there = np.repeat(first, several) + offset
    links = coo_array((np.ones(here.size, np.int8), (here, there)), shape=(starts.size,) * 2)
    return int(connected_components(links, directed=False, return_labels=False))


def border_contacts(runs: Runs, line_px: int) -> int:
    """Return how many runs begin where a line begins, or end where one ends.

    Objects at the border of an image do; read with the wrong number of the first pixel they end one
    pixel before or after.
    """
    return int((runs.starts % line_px == 0).sum() + (runs.ends % line_px == 0).sum())


def _cut_at_lines(runs: Runs, line_px: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return starts and ends of the runs, cut where a line ends."""
    first, last = runs.starts // line_px, (runs.ends - 1) // line_px
    lines = last - first + 1
    if (lines == 1).all():
        return runs.starts, runs.ends
    run = np.repeat(np.arange(len(runs)), lines)
    line = np.arange(run.size) - np.repeat(np.cumsum(lines) - lines, lines) + first[run]
    starts = np.maximum(runs.starts[run], line * line_px)
    return starts, np.minimum(runs.ends[run], (line + 1) * line_px)
