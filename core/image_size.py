"""Height and width of images as settings give them: a side, or both."""

from __future__ import annotations

from collections.abc import Sequence

ImageSize = tuple[int, int]
"""Height and width in pixels."""

SizeLike = int | Sequence[int]
"""A side of a square, or height and width."""


def height_and_width(size: SizeLike) -> ImageSize:
    """Return height and width.

    >>> height_and_width(512), height_and_width([256, 1600])
    ((512, 512), (256, 1600))
    """
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width


def compact_size(size: SizeLike) -> int | list[int]:
    """Return the shortest form, as it is written into files.

    >>> compact_size((512, 512)), compact_size((256, 1600))
    (512, [256, 1600])
    """
    height, width = height_and_width(size)
    return height if height == width else [height, width]


def size_name(size: SizeLike) -> str:
    """Return the form for names of files and messages.

    >>> size_name(512), size_name((256, 1600))
    ('512', '256x1600')
    """
    height, width = height_and_width(size)
    return str(height) if height == width else f"{height}x{width}"
