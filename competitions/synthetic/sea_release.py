"""A synthetic twin of Airbus' ships: the sea as JPEG, and one row a ship in a table."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from goldfold.competitions.synthetic.mask_release import (
    SOLUTION_FILE,
    Drawn,
    MaskReport,
    finish,
    hex_ids,
    jpeg_bytes,
    shown_places,
    texts_of,
    united,
    usage,
)
from goldfold.competitions.synthetic.sea import draw_scene
from goldfold.competitions.synthetic.tables import csv_text
from goldfold.competitions.synthetic.twin import Order, Twin
from goldfold.files import write_bytes, write_text

Rows = list[tuple[str, str]]

_VERSION = 1  # to be raised whenever the same seed gives other bytes
_WITH_SHIPS = 0.22  # of the images, as in the real set
_SHIPS = (1, 2, 3, 4, 6)
_OFTEN = (0.62, 0.18, 0.10, 0.06, 0.04)  # how often so many in an image that has any
_SAMPLE = "1 2"  # what the real sample has in every row
_LOST = "fffffffff.jpg"


def _write(folder: Path, order: Order) -> MaskReport:
    """Images of the sea and masks of ships in Airbus' layout.

    `size` is the side in pixels; the real ones have 768. Quirks: a truncated file, rows without an
    image, and a ship whose row is there twice.
    """
    plan = _plan(order.train, order.test, order.seed)
    train, test = slice(None, order.train), slice(order.train, None)
    shown = shown_places([bool(one.ships) for one in plan[train]])
    draw = functools.partial(_draw, folder, size=order.size, seed=order.seed, shown=shown)
    drawn = order.draw_all(draw, plan)
    rows = _rows(plan[train], drawn[train])
    planted: tuple[str, ...] = ()
    if order.quirks:
        rows, planted = _disturbed(folder, plan[train], rows)
    header = ("ImageId", "EncodedPixels")
    write_text(folder / "train_ship_segmentations_v2.csv", csv_text(header, rows))
    _write_test_tables(folder, plan[test], drawn[test])
    return finish(folder, order, drawn, len(rows), planted)


@dataclass(frozen=True)
class _Scene:
    """An image to be drawn."""

    number: int
    split: str
    image_id: str
    """The file's name, with its ending."""
    ships: int

    @property
    def path(self) -> str:
        return f"{self.split}_v2/{self.image_id}"


def _plan(train: int, test: int, seed: int) -> list[_Scene]:
    rng = np.random.default_rng([seed, 51])
    ids = [f"{one}.jpg" for one in hex_ids(train + test, rng)]
    plan: list[_Scene] = []
    for split, count in (("train", train), ("test", test)):
        filled = min(count - 1, max(2, round(_WITH_SHIPS * count)))
        ships = [int(rng.choice(_SHIPS, p=_OFTEN)) for _ in range(filled)]
        ships += [0] * (count - filled)
        for place in rng.permutation(count):
            plan.append(_Scene(len(plan), split, ids[len(plan)], ships[place]))
    return plan


def _draw(folder: Path, one: _Scene, *, size: int, seed: int, shown: set[int]) -> Drawn:
    rng = np.random.default_rng([seed, 52, one.number])
    image, masks = draw_scene(one.ships, size, rng)
    write_bytes(folder / one.path, jpeg_bytes(image))
    sample = None
    if one.number in shown:
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        sample = (gray, united(masks, (size, size)))
    return Drawn(texts_of(masks, "kaggle"), sample)


def _rows(plan: list[_Scene], drawn: list[Drawn]) -> Rows:
    """Return a row a ship, and an empty one where there is none."""
    return [
        (one.image_id, text)
        for one, image in zip(plan, drawn, strict=True)
        for text in (image.texts or ("",))
    ]


def _disturbed(folder: Path, plan: list[_Scene], rows: Rows) -> tuple[Rows, tuple[str, ...]]:
    """Cut a file off; return the rows with what is planted, and a line for each."""
    broken = next(one for one in plan if not one.ships)
    path = folder / broken.path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    twice = next(row for row in rows if row[1])
    planted = (
        f"truncated: {broken.path}",
        f"rows without an image: {_LOST}",
        f"ship that is there twice: {twice[0]}",
    )
    return [*rows, (_LOST, ""), (_LOST, "1 2"), twice], planted


def _write_test_tables(folder: Path, plan: list[_Scene], drawn: list[Drawn]) -> None:
    """Write the sample submission and the hidden solution, in the same order."""
    header = ("ImageId", "EncodedPixels")
    sample = [(one.image_id, _SAMPLE) for one in plan]
    write_text(folder / "sample_submission_v2.csv", csv_text(header, sample))
    part = {one.image_id: usage(place) for place, one in enumerate(plan)}
    solution = [(*row, part[row[0]]) for row in _rows(plan, drawn)]
    write_text(folder / SOLUTION_FILE, csv_text((*header, "Usage"), solution))


synthesize_ships = Twin("ships", _VERSION, MaskReport, _write)
