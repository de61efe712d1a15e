"""Height and width of images as settings give them: a side, or both."""

from __future__ import annotations

from collections.abc import Sequence

Extent = tuple[int, int]
"""Height and width in pixels."""

Given = int | Sequence[int]
"""A side of a square, or height and width."""


def extent_of(size: Given) -> Extent:
    """Return height and width.

    >>> extent_of(512), extent_of([256, 1600])
    ((512, 512), (256, 1600))
    """
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width


def compact(size: Given) -> int | list[int]:
    """Return the shortest form, as it is written into files.

    >>> compact((512, 512)), compact((256, 1600))
    (512, [256, 1600])
    """
    height, width = extent_of(size)
    return height if height == width else [height, width]


def extent_name(size: Given) -> str:
    """Return the form for names of files and messages.

    >>> extent_name(512), extent_name((256, 1600))
    ('512', '256x1600')
    """
    height, width = extent_of(size)
    return str(height) if height == width else f"{height}x{width}"
