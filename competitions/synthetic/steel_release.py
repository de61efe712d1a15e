"""A synthetic twin of Severstal's steel: strips as JPEG, and four rows an image in a table."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

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
from goldfold.competitions.synthetic.steel import CLASSES, draw_strip
from goldfold.competitions.synthetic.tables import csv_text
from goldfold.competitions.synthetic.twin import Order, Twin
from goldfold.files import write_bytes, write_text

Rows = list[tuple[str, str]]

_VERSION = 1  # to be raised whenever the same seed gives other bytes
_DEFECTIVE = 0.53  # of the images, as in the real set
_OF_CLASS = {"1": 897 / 7095, "2": 247 / 7095, "4": 801 / 7095}  # the others are of class 3
_SEVERAL = 0.065  # of the defective images: a second class
_SHAPE = 256 / 1600
_SAMPLE = "1 1"  # what the real sample has in every row
_LOST = "fffffffff.jpg"


def _write(folder: Path, order: Order) -> MaskReport:
    """Strips of steel and masks of four defects in Severstal's layout.

    `size` is the width in pixels; the height is 256 where the width is 1600. Quirks: an image
    without a row for a class, one without any, rows without an image, and a row that is there
    twice.
    """
    plan = _plan(order.train, order.test, order.seed)
    train, test = slice(None, order.train), slice(order.train, None)
    shown = shown_places([bool(one.kinds) for one in plan[train]])
    draw = functools.partial(_draw, folder, size=order.size, seed=order.seed, shown=shown)
    drawn = order.draw_all(draw, plan)
    rows = _rows(plan[train], drawn[train])
    planted: tuple[str, ...] = ()
    if order.quirks:
        rows, planted = _disturbed(plan[train], drawn[train], rows)
    write_text(folder / "train.csv", csv_text(("ImageId_ClassId", "EncodedPixels"), rows))
    _write_test_tables(folder, plan[test], drawn[test])
    return finish(folder, order, drawn, len(rows), planted)


@dataclass(frozen=True)
class _Strip:
    """An image to be drawn."""

    number: int
    split: str
    image_id: str
    """The file's name, with its ending."""
    kinds: tuple[str, ...]


def _plan(train: int, test: int, seed: int) -> list[_Strip]:
    rng = np.random.default_rng([seed, 31])
    ids = [f"{one}.jpg" for one in hex_ids(train + test, rng)]
    plan: list[_Strip] = []
    for split, count in (("train", train), ("test", test)):
        defects = _defects(max(2, round(_DEFECTIVE * count)), rng)
        kinds: list[tuple[str, ...]] = [*defects, *[()] * (count - len(defects))]
        for place in rng.permutation(count):
            number = len(plan)
            plan.append(_Strip(number, split, ids[number], kinds[place]))
    return plan


def _defects(count: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """Return the classes of that many images; each class comes up as far as there is room."""
    least = 2 if count >= 10 else 1
    names = ["3"]
    for name, share in _OF_CLASS.items():
        names += [name] * max(least, round(share * count))
    names = [*names, *["3"] * count][:count]
    found = []
    for name in names:
        second = str(rng.choice(CLASSES)) if rng.random() < _SEVERAL else name
        found.append(tuple(sorted({name, second})))
    return found


def _draw(folder: Path, one: _Strip, *, size: int, seed: int, shown: set[int]) -> Drawn:
    rng = np.random.default_rng([seed, 32, one.number])
    height = max(1, round(size * _SHAPE))
    image, masks = draw_strip(one.kinds, height, size, rng)
    three = np.repeat(image[..., None], 3, axis=2)  # the real files are gray stored as colour
    write_bytes(folder / f"{one.split}_images" / one.image_id, jpeg_bytes(three))
    sample = (image, united(masks, image.shape)) if one.number in shown else None
    return Drawn(texts_of(masks, "kaggle"), sample)


def _rows(plan: list[_Strip], drawn: list[Drawn]) -> Rows:
    return [
        (f"{one.image_id}_{name}", text)
        for one, images in zip(plan, drawn, strict=True)
        for name, text in zip(CLASSES, images.texts, strict=True)
    ]


def _disturbed(plan: list[_Strip], drawn: list[Drawn], rows: Rows) -> tuple[Rows, tuple[str, ...]]:
    """Return the rows with what is planted, and a line for each."""
    clean = [one.image_id for one, image in zip(plan, drawn, strict=True) if image.empty]
    short, bare = clean[0], clean[-1]
    twice = next(row for row in rows if row[1])
    kept = [row for row in rows if row[0] != f"{short}_2" and row[0].rpartition("_")[0] != bare]
    lost = [(f"{_LOST}_{name}", "") for name in CLASSES]
    planted = (
        f"no row of class 2: {short}",
        f"image without rows: {bare}",
        f"rows without an image: {_LOST}",
        f"row that is there twice: {twice[0]}",
    )
    return [*kept, *lost, twice], planted


def _write_test_tables(folder: Path, plan: list[_Strip], drawn: list[Drawn]) -> None:
    """Write the sample submission and the hidden solution, in the same order."""
    header = ("ImageId_ClassId", "EncodedPixels")
    rows = _rows(plan, drawn)
    sample = [(name, _SAMPLE) for name, _ in rows]
    write_text(folder / "sample_submission.csv", csv_text(header, sample))
    solution = [
        (name, text, usage(place // len(CLASSES))) for place, (name, text) in enumerate(rows)
    ]
    write_text(folder / SOLUTION_FILE, csv_text((*header, "Usage"), solution))


synthesize_steel = Twin("steel", _VERSION, MaskReport, _write)
