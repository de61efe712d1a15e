"""Draws images with their labels in rows, as one picture with text that people can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from goldfold.competitions.synthetic.contact_sheet import fitted_mask

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Colour = tuple[int, int, int]

_TILE, _GAP, _MARGIN, _COLUMNS = 256, 14, 20, 4
_LINE, _TITLE_LINE = 20, 30
_TEXT_SIZE, _TITLE_SIZE = 14, 18
_GROUND, _INK, _PALE, _EMPTY = (250, 250, 248), (30, 30, 30), (110, 110, 110), (225, 225, 222)
_LOWEST = 96  # pixels of a row of wide images
_FILL, _FILLS = 0.12, 0.3  # of a mask's colour inside its outline, if it is alone or one of several


@dataclass(frozen=True)
class Tile:
    """An image of the sheet.

    Attributes:
        name: of the image.
        words: its label, or why it is shown.
        image: uint8 (H, W, 3) RGB, None where it cannot be read.
        masks: masks (H, W) with their colours (RGB).
    """

    name: str
    words: str
    image: NDArray[np.uint8] | None
    masks: Sequence[tuple[NDArray[np.uint8], Colour]] = ()


@dataclass(frozen=True)
class Section:
    """Tiles under a title, with the names of colours."""

    title: str
    tiles: Sequence[Tile]
    legend: Sequence[tuple[str, Colour]] = field(default=())


def draw_sheet(sections: Sequence[Section]) -> Image.Image:
    """Return a picture of the sections, one below the other, four tiles in a row."""
    width = 2 * _MARGIN + _COLUMNS * _TILE + (_COLUMNS - 1) * _GAP
    height = 2 * _MARGIN + sum(_height(section, width) for section in sections)
    sheet = Image.new("RGB", (width, height), _GROUND)
    top = _MARGIN
    for section in sections:
        _draw_section(sheet, section, top)
        top += _height(section, width)
    return sheet


def _height(section: Section, width: int) -> int:
    rows = -(-len(section.tiles) // _COLUMNS)
    legend = len(_legend_rows(section.legend, width)) * _LINE
    return _TITLE_LINE + legend + rows * (_tile_height(section) + 2 * _LINE + _GAP)


def _fitted(image: NDArray[np.uint8]) -> tuple[int, int]:
    """Return width and height of an image in its tile."""
    scale = _TILE / max(image.shape[:2])
    return max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))


def _tile_height(section: Section) -> int:
    """Return the height of the tiles, which is less where all images are wide."""
    heights = [_fitted(tile.image)[1] for tile in section.tiles if tile.image is not None]
    return max([_LOWEST, *heights])


def _draw_section(sheet: Image.Image, section: Section, top: int) -> None:
    draw = ImageDraw.Draw(sheet)
    title = _shortened(section.title, _font(_TITLE_SIZE), sheet.width - 2 * _MARGIN)
    draw.text((_MARGIN, top), title, _INK, _font(_TITLE_SIZE))
    top += _TITLE_LINE
    for row in _legend_rows(section.legend, sheet.width):
        for left, name, colour in row:
            draw.rectangle((left, top + 2, left + 12, top + 14), colour)
            draw.text((left + 18, top), name, _INK, _font(_TEXT_SIZE))
        top += _LINE
    height = _tile_height(section)
    for place, tile in enumerate(section.tiles):
        left = _MARGIN + place % _COLUMNS * (_TILE + _GAP)
        upper = top + place // _COLUMNS * (height + 2 * _LINE + _GAP)
        _draw_tile(sheet, tile, (left, upper), height)


def _legend_rows(
    legend: Sequence[tuple[str, Colour]], width: int
) -> list[list[tuple[int, str, Colour]]]:
    """Return (left side, name, colour) of each entry, in as many rows as they need."""
    rows: list[list[tuple[int, str, Colour]]] = []
    left = width
    for name, colour in legend:
        text = _shortened(name, _font(_TEXT_SIZE), _TILE)
        needed = 18 + round(_font(_TEXT_SIZE).getlength(text)) + _MARGIN
        if left + needed > width - _MARGIN:
            rows.append([])
            left = _MARGIN
        rows[-1].append((left, text, colour))
        left += needed
    return rows


def _draw_tile(sheet: Image.Image, tile: Tile, corner: tuple[int, int], height: int) -> None:
    draw, font = ImageDraw.Draw(sheet), _font(_TEXT_SIZE)
    left, top = corner
    if tile.image is None:
        draw.rectangle((left, top, left + _TILE - 1, top + height - 1), _EMPTY)
        draw.text(
            (left + _TILE // 2, top + height // 2), "cannot be read", _PALE, font, anchor="mm"
        )
    else:
        picture = Image.fromarray(_outlined(tile.image, tile.masks))
        inner = (_TILE - picture.width) // 2, (height - picture.height) // 2
        sheet.paste(picture, (left + inner[0], top + inner[1]))
    draw.text((left, top + height + 3), _shortened(tile.name, font, _TILE), _INK, font)
    draw.text((left, top + height + 3 + _LINE), _shortened(tile.words, font, _TILE), _PALE, font)


def _outlined(
    image: NDArray[np.uint8], masks: Sequence[tuple[NDArray[np.uint8], Colour]]
) -> NDArray[np.uint8]:
    """Return the image fitted into a tile with its masks: filled thinly, and outlined."""
    size = _fitted(image)
    method = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_NEAREST
    share = _FILL if len(masks) == 1 else _FILLS
    picture = cv2.resize(image, size, interpolation=method)
    for mask, colour in masks:
        inside = fitted_mask(mask, size)
        filled = picture[inside > 0] * (1 - share) + np.array(colour) * share
        picture[inside > 0] = filled.astype(np.uint8)
        contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, colour, 1)
    return np.asarray(picture, np.uint8)


@lru_cache(maxsize=4)
def _font(size: int) -> FreeTypeFont:
    """Return a font with the letters of most languages; matplotlib installs it."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)


def _shortened(text: str, font: FreeTypeFont, width: int) -> str:
    """Return a text that fits into `width` pixels; of a long one, both ends."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: -(-kept // 2)]}…{text[len(text) - kept // 2 :]}"
        if font.getlength(short) <= width:
            return short
    return "…"
