"""Mask files of another size than their images, in as few words as possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Size = tuple[int, int]


@dataclass(frozen=True)
class WrongSize:
    """A mask file that does not fit; sizes are height and width in pixels."""

    file: str
    size: Size
    image: Size


def refuse_sizes(files: Sequence[WrongSize], total: int, stated: Size | None) -> list[str]:
    """Return a problem for each file, or one if all mask files have the same wrong size.

    Args:
        files: those that do not fit.
        total: number of all mask files.
        stated: `labels.size`, None if masks have to be as large as their images.
    """
    sizes = sorted({file.size for file in files})
    if stated is not None:
        expected = f"competition.labels.size is {_in_words(stated)} (height x width)"
        return [f"{file.file} is {_in_words(file.size)}, but {expected}" for file in files]
    if len(sizes) > 1 or len(files) < total or total < 2:
        return [
            f"{file.file} is {_in_words(file.size)}, its image {_in_words(file.image)} "
            "(height x width)"
            for file in files
        ]
    images = sorted({file.image for file in files})
    largest = f", the largest {_in_words(images[-1])}" if len(images) > 1 else ""
    are = f"are {_in_words(images[0])}" if len(images) == 1 else f"have {len(images):,} sizes"
    height, width = sizes[0]
    remedy = (
        f"If each mask shows the whole image, set competition.labels.size = [{height}, {width}] "
        "(and competition.submission.size, if submitted masks have this size)"
    )
    if images == [(width, height)]:
        remedy = "Rotate the mask files: height and width are swapped"
    return [
        f"all {total:,} mask files are {height} x {width} (height x width), but their images "
        f"{are}{largest}. {remedy}"
    ]


def _in_words(size: Size) -> str:
    return f"{size[0]} x {size[1]}"
