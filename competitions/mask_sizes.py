"""Compares the sizes of masks with those of their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from goldfold.competitions.dialect import Dialect, get_dialect
from goldfold.competitions.guess_order import PlacedMask, Size, evenly, order_problems
from goldfold.competitions.guess_size import guess_size
from goldfold.competitions.images_table import mask_sizes
from goldfold.competitions.rle import parse
from goldfold.errors import plural
from goldfold.settings import CompetitionSettings

_LOOKED_AT = 1_000


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


def beyond_the_image(images: pd.DataFrame, name: str, size: Size | None) -> list[str]:
    """Return a line for each mask that extends beyond its image.

    Args:
        images: image_id, height, width, end_px and end_row.
        name: of the label table.
        size: height and width that masks refer to (`labels.size`), None = their image's.
    """
    whose = "the image has" if size is None else "competition.labels.size is"
    sizes = mask_sizes(images, size)
    columns = (images[column] for column in ("image_id", "end_row", "end_px"))
    return [
        f"{name} row {row}: the mask of {image_id} ends at pixel {end:,}, but {whose} "
        f"{height} x {width} = {height * width:,}"
        for image_id, row, end, (height, width) in zip(*columns, sizes, strict=True)
        if end > height * width
    ]


def other_sizes(
    images: pd.DataFrame, stated: Sequence[StatedSize], name: str, size: Size | None
) -> list[str]:
    """Return a line for each row that says another size than its image has.

    Args:
        images: image_id, height, width.
        stated: what the rows say.
        name: of the label table.
        size: height and width that masks refer to (`labels.size`), None = their image's.
    """
    whose = "the image has" if size is None else "competition.labels.size is"
    shapes = dict(zip(images["image_id"], mask_sizes(images, size), strict=True))
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
            f"{name} row {said.row}: the mask of {said.image_id} {what}, but {whose} "
            f"{height} x {width} = {height * width:,}"
        )
    return lines


def doubtful_form(
    images: pd.DataFrame, dialect: Dialect, name: str, form: CompetitionSettings
) -> list[str]:
    """Return a problem if the compactness of masks contradicts their size or their order.

    Args:
        images: image_id, height, width and mask_rle, in the plain form of `dialect`.
        dialect: of the label table.
        name: of the label table.
        form: settings of the competition.
    """
    filled = images[images["mask_rle"] != ""]
    cells = list(zip(filled["mask_rle"], mask_sizes(filled, form.labels.size), strict=True))
    masks = [
        PlacedMask(parse(text, dialect.plain()), size, place)
        for place, (text, size) in enumerate(evenly(cells, _LOOKED_AT))
    ]
    guess = guess_size(masks)
    if guess.size is not None:
        return [
            f"{name}: {guess.evidence}. Set competition.labels.size = {list(guess.size)}, the "
            "height and width that the encodings refer to, and competition.submission.size to the "
            "same if submitted masks refer to it as well"
        ]
    inside = [mask for mask in masks if mask.runs.ends[-1] <= mask.size[0] * mask.size[1]]
    return order_problems(inside, dialect, name, get_dialect(form.submission.dialect))
