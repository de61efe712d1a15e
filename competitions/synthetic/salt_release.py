"""A synthetic competition in the files of TGS salt: sections as PNG, one label row each, depths."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.synthetic.csv_text import csv_text
from goldfold.competitions.synthetic.generator import Request, SyntheticCompetition
from goldfold.competitions.synthetic.mask_release import (
    SOLUTION_FILE,
    Drawn,
    MaskReport,
    finish,
    hex_ids,
    shown_places,
    texts_of,
    usage,
)
from goldfold.competitions.synthetic.salt import draw_section
from goldfold.files import write_bytes, write_text

Rows = list[tuple[str, str]]

_VERSION = 1  # raise it whenever the same seed gives different bytes
_EMPTY = 0.39  # share of the images, as in the real set
_KINDS = {"full": 0.015, "columns": 0.06}  # shares of the images with salt; the rest have a border
_BLACK = 0.02  # with quirks: share of the images, as in the real set
_HEADER = ("id", "rle_mask")
_SAMPLE = "1 1"  # what the real sample has in every row
_LOST = "ffffffffff"
_SHALLOW, _DEEP = 51, 959  # lowest and highest value in the real table of depths


def _write(folder: Path, request: Request) -> MaskReport:
    """Seismic sections and masks of salt in the layout of TGS.

    `size` is the side in pixels (101 in the real data). Quirks: all-black images, an image without
    a row, a row without an image, and a repeated row.
    """
    plan = _plan(request.train, request.test, request.seed, request.quirks)
    train, test = slice(None, request.train), slice(request.train, None)
    shown = shown_places([section.kind != "none" for section in plan[train]])
    draw = functools.partial(_draw, folder, size=request.size, seed=request.seed, shown=shown)
    drawn = request.draw_all(draw, plan)
    rows = _rows(plan[train], drawn[train])
    planted: tuple[str, ...] = ()
    if request.quirks:
        rows, planted = _disturbed(plan[train], rows)
    write_text(folder / "train.csv", csv_text(_HEADER, rows))
    depths = [(section.image_id, str(section.depth)) for section in plan]
    write_text(folder / "depths.csv", csv_text(("id", "z"), depths))
    _write_test_tables(folder, plan[test], drawn[test])
    return finish(folder, request, drawn, len(rows), planted)


@dataclass(frozen=True)
class _Section:
    """The plan of an image."""

    number: int
    split: str
    image_id: str
    kind: str
    """One of `salt.KINDS`, or "black"."""
    depth: int


def _plan(train: int, test: int, seed: int, quirks: bool) -> list[_Section]:
    rng = np.random.default_rng([seed, 61])
    ids = hex_ids(train + test, rng, 10)
    plan: list[_Section] = []
    for split, count in (("train", train), ("test", test)):
        kinds = _kinds(count, quirks and split == "train")
        for place in rng.permutation(count):
            depth = int(np.clip(round(rng.normal(506, 208)), _SHALLOW, _DEEP))
            plan.append(_Section(len(plan), split, ids[len(plan)], kinds[place], depth))
    return plan


def _kinds(count: int, black: bool) -> list[str]:
    """Return the kinds of `count` images; at least half have salt, at least two have none."""
    with_salt = count - max(2, round(_EMPTY * count))
    special = [name for name, share in _KINDS.items() for _ in range(round(share * with_salt))]
    if with_salt >= 10:  # so that each kind occurs
        special += [name for name in _KINDS if name not in special]
    kinds = [*special, *["border"] * (with_salt - len(special))]
    if black:
        kinds += ["black"] * max(1, round(_BLACK * count))
    return [*kinds, *["none"] * (count - len(kinds))]


def _draw(folder: Path, section: _Section, *, size: int, seed: int, shown: set[int]) -> Drawn:
    image = mask = np.zeros((size, size), np.uint8)
    if section.kind != "black":
        image, mask = draw_section(
            section.kind, size, np.random.default_rng([seed, 62, section.number])
        )
    three = np.repeat(image[..., None], 3, axis=2)  # the real files are gray stored as colour
    write_bytes(folder / section.split / "images" / f"{section.image_id}.png", _png(three))
    if section.split == "train":
        levels = mask.astype(np.uint16) * np.uint16(65535)  # the real masks have 16 bits
        write_bytes(folder / "train/masks" / f"{section.image_id}.png", _png(levels))
    sample = (image, mask) if section.number in shown else None
    return Drawn(texts_of([mask], "kaggle"), sample)


def _png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def _rows(plan: list[_Section], drawn: list[Drawn]) -> Rows:
    return [(section.image_id, image.texts[0]) for section, image in zip(plan, drawn, strict=True)]


def _disturbed(plan: list[_Section], rows: Rows) -> tuple[Rows, tuple[str, ...]]:
    """Return the rows with quirks added, and one line per quirk."""
    black = sorted(section.image_id for section in plan if section.kind == "black")
    bare = next(section.image_id for section in plan if section.kind == "none")
    twice = next(row for row in rows if row[1])
    kept = [row for row in rows if row[0] != bare]
    planted = (
        f"all black: {', '.join(black)}",
        f"image without a row: {bare}",
        f"row without an image: {_LOST}",
        f"row that is there twice: {twice[0]}",
    )
    return [*kept, (_LOST, ""), twice], planted


def _write_test_tables(folder: Path, plan: list[_Section], drawn: list[Drawn]) -> None:
    """Write the sample submission and the hidden solution, in the same order."""
    sample = [(section.image_id, _SAMPLE) for section in plan]
    write_text(folder / "sample_submission.csv", csv_text(_HEADER, sample))
    solution = [(*row, usage(place)) for place, row in enumerate(_rows(plan, drawn))]
    write_text(folder / SOLUTION_FILE, csv_text((*_HEADER, "Usage"), solution))


synthesize_salt = SyntheticCompetition("salt", _VERSION, MaskReport, _write)
