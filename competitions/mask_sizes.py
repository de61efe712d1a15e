"""Compares the sizes of masks with those of their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from goldfold.errors import plural


@dataclass(frozen=True)
class StatedSize:
    """What a row of the label table says of the size of its image.

    Attributes:
        row: line of the table.
        image_id: id of the image.
        pixels: how many pixels the image has.
        size: height and width, None where only `pixels` is said.
    """

    row: int
    image_id: str
    pixels: int
    size: tuple[int, int] | None


def beyond_the_image(images: pd.DataFrame, name: str) -> list[str]:
    """Return a line for each mask that extends beyond its image.

    Args:
        images: image_id, height, width, end_px and end_row.
        name: of the label table.
    """
    beyond = images[images["end_px"] > images["height"] * images["width"]]
    columns = ("image_id", "end_row", "end_px", "height", "width")
    return [
        f"{name} row {row}: the mask of {image_id} ends at pixel {end:,}, but the image has "
        f"{height} x {width} = {height * width:,}"
        for image_id, row, end, height, width in zip(*(beyond[c] for c in columns), strict=True)
    ]


def other_sizes(images: pd.DataFrame, stated: Sequence[StatedSize], name: str) -> list[str]:
    """Return a line for each row that says another size than its image has.

    Args:
        images: image_id, height, width.
        stated: what the rows say.
        name: of the label table.
    """
    columns = (images[column] for column in ("image_id", "height", "width"))
    shapes = {image_id: (height, width) for image_id, height, width in zip(*columns, strict=True)}
    lines = []
    for said in stated:
        height, width = shapes.get(said.image_id, (0, 0))
        if not height or said.size == (height, width):
            continue
        if said.size is not None:
            what = f"is of {said.size[0]} x {said.size[1]} pixels"
        elif said.pixels != height * width:
            what = f"is of {plural(said.pixels, 'pixel', 'pixels')}"
        else:
            continue
        lines.append(
            f"{name} row {said.row}: the mask of {said.image_id} {what}, but the image has "
            f"{height} x {width} = {height * width:,}"
        )
    return lines
