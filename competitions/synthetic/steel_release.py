"""A synthetic competition in the files of Severstal: strips as JPEG, four label rows per image."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goldfold.competitions.synthetic.csv_text import csv_text
from goldfold.competitions.synthetic.generator import Request, SyntheticCompetition
from goldfold.competitions.synthetic.mask_release import (
    SOLUTION_FILE,
    Drawn,
    MaskReport,
    finish,
    hex_ids,
    jpeg_bytes,
    merge_masks,
    shown_places,
    texts_of,
    usage,
)
from goldfold.competitions.synthetic.steel import CLASSES, draw_strip
from goldfold.files import write_bytes, write_text

Rows = list[tuple[str, str]]

_VERSION = 1  # raise it whenever the same seed gives different bytes
_DEFECTIVE = 0.53  # share of the images, as in the real set
_OF_CLASS = {"1": 897 / 7095, "2": 247 / 7095, "4": 801 / 7095}  # the rest are of class 3
_SEVERAL = 0.065  # share of the defective images with a second class
_SHAPE = 256 / 1600
_SAMPLE = "1 1"  # what the real sample has in every row
_LOST = "fffffffff.jpg"


def _write(folder: Path, request: Request) -> MaskReport:
    """Strips of steel and masks of four kinds of defects in Severstal's layout.

    `size` is the width in pixels; the height is 256 for a width of 1600. Quirks: an image without a
    row for one class, an image without any row, rows without an image, and a repeated row.
    """
    plan = _plan(request.train, request.test, request.seed)
    train, test = slice(None, request.train), slice(request.train, None)
    shown = shown_places([bool(strip.kinds) for strip in plan[train]])
    draw = functools.partial(_draw, folder, size=request.size, seed=request.seed, shown=shown)
    drawn = request.draw_all(draw, plan)
    rows = _rows(plan[train], drawn[train])
    planted: tuple[str, ...] = ()
    if request.quirks:
        rows, planted = _disturbed(plan[train], drawn[train], rows)
    write_text(folder / "train.csv", csv_text(("ImageId_ClassId", "EncodedPixels"), rows))
    _write_test_tables(folder, plan[test], drawn[test])
    return finish(folder, request, drawn, len(rows), planted)


@dataclass(frozen=True)
class _Strip:
    """The plan of an image."""

    number: int
    split: str
    image_id: str
    """Name of the file, with its extension."""
    kinds: tuple[str, ...]


def _plan(train: int, test: int, seed: int) -> list[_Strip]:
    rng = np.random.default_rng([seed, 31])
    ids = [f"{strip}.jpg" for strip in hex_ids(train + test, rng)]
    plan: list[_Strip] = []
    for split, count in (("train", train), ("test", test)):
        defects = _defects(max(2, round(_DEFECTIVE * count)), rng)
        kinds: list[tuple[str, ...]] = [*defects, *[()] * (count - len(defects))]
        for place in rng.permutation(count):
            number = len(plan)
            plan.append(_Strip(number, split, ids[number], kinds[place]))
    return plan


def _defects(count: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """Return the classes of `count` images; each class occurs if there is room."""
    least = 2 if count >= 10 else 1
    names = ["3"]
    for name, share in _OF_CLASS.items():
        names += [name] * max(least, round(share * count))
    names = [*names, *["3"] * count][:count]
    defects = []
    for name in names:
        second = str(rng.choice(CLASSES)) if rng.random() < _SEVERAL else name
        defects.append(tuple(sorted({name, second})))
    return defects


def _draw(folder: Path, strip: _Strip, *, size: int, seed: int, shown: set[int]) -> Drawn:
    rng = np.random.default_rng([seed, 32, strip.number])
    height = max(1, round(size * _SHAPE))
    image, masks = draw_strip(strip.kinds, height, size, rng)
    three = np.repeat(image[..., None], 3, axis=2)  # the real files are gray stored as colour
    write_bytes(folder / f"{strip.split}_images" / strip.image_id, jpeg_bytes(three))
    sample = (image, merge_masks(masks, image.shape)) if strip.number in shown else None
    return Drawn(texts_of(masks, "kaggle"), sample)


def _rows(plan: list[_Strip], drawn: list[Drawn]) -> Rows:
    return [
        (f"{strip.image_id}_{name}", text)
        for strip, images in zip(plan, drawn, strict=True)
        for name, text in zip(CLASSES, images.texts, strict=True)
    ]


def _disturbed(plan: list[_Strip], drawn: list[Drawn], rows: Rows) -> tuple[Rows, tuple[str, ...]]:
    """Return the rows with quirks added, and one line per quirk."""
    clean = [strip.image_id for strip, image in zip(plan, drawn, strict=True) if image.empty]
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


synthesize_steel = SyntheticCompetition("steel", _VERSION, MaskReport, _write)
