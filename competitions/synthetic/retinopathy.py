"""A synthetic competition in the files of APTOS 2019: photographs of retinas, a grade each."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from goldfold.competitions.synthetic.class_report import ClassReport
from goldfold.competitions.synthetic.csv_text import csv_text
from goldfold.competitions.synthetic.generator import Request, SyntheticCompetition
from goldfold.competitions.synthetic.retina import LESIONS, draw_retina
from goldfold.files import write_bytes, write_text

_VERSION = 1  # raise it whenever the same seed gives different bytes
_SHARES = (0.49, 0.10, 0.27, 0.06, 0.08)  # of the grades, as in the real set
_FEWEST = 2  # training images of each grade, so that two folds can have one
_COLUMNS = ("id_code", "diagnosis")


def _write(folder: Path, request: Request) -> ClassReport:
    """Photographs of retinas as PNG and a table with a grade for each.

    Sizes vary; `size` is the longer side. Quirks: a truncated file, a row with a grade that does
    not exist, a row that is not a number, and a row without a file.
    """
    plan = _plan(request.train, request.test, request.seed)
    draw = functools.partial(_write_photograph, folder, size=request.size, seed=request.seed)
    request.draw_all(draw, plan)
    train, test = ([photo for photo in plan if photo.split == split] for split in ("train", "test"))
    rows = [(photo.image_id, str(photo.grade)) for photo in train]
    planted: tuple[str, ...] = ()
    if request.quirks:
        broken = folder / "train_images" / f"{train[0].image_id}.png"
        broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
        rows[1], rows[2] = (rows[1][0], "5"), (rows[2][0], "mild")
        rows.append(("ffffffffffff", "0"))
        planted = (
            f"truncated file: {train[0].image_id}",
            f"no such grade: {rows[1][0]} and {rows[2][0]}",
            "row without a file: ffffffffffff",
        )
    write_text(folder / "train.csv", csv_text(_COLUMNS, rows))
    write_text(folder / "test.csv", csv_text(_COLUMNS[:1], [(photo.image_id,) for photo in test]))
    for name, grades in (
        ("sample_submission.csv", ["0"] * len(test)),
        ("solution.csv", [str(photo.grade) for photo in test]),
    ):
        cells = [(photo.image_id, grade) for photo, grade in zip(test, grades, strict=True)]
        write_text(folder / name, csv_text(_COLUMNS, cells))
    return ClassReport(request.folder, request.train, request.test, len(plan), planted)


@dataclass(frozen=True)
class _Photograph:
    """The plan of a photograph."""

    number: int
    split: str
    image_id: str
    grade: int


def _plan(train: int, test: int, seed: int) -> list[_Photograph]:
    rng = np.random.default_rng([seed, 31])
    plan: list[_Photograph] = []
    for split, count in (("train", train), ("test", test)):
        first = list(range(len(LESIONS))) * (_FEWEST if split == "train" else 1)
        rest = rng.choice(len(LESIONS), max(0, count - len(first)), p=_SHARES).tolist()
        grades = rng.permutation([*first, *rest][:count]).tolist()
        for grade in grades:
            image_id = f"{rng.integers(16**12):012x}"
            plan.append(_Photograph(len(plan), split, image_id, int(grade)))
    return plan


def _write_photograph(folder: Path, photo: _Photograph, size: int, seed: int) -> None:
    rng = np.random.default_rng([seed, 32, photo.number])
    image = draw_retina(photo.grade, size, rng)
    cut = int(rng.integers(size // 8 + 1))  # cameras cut the round picture above and below
    image = image[cut : size - cut]
    path = folder / f"{photo.split}_images" / f"{photo.image_id}.png"
    write_bytes(path, cv2.imencode(".png", image)[1].tobytes())


synthesize_retinopathy = SyntheticCompetition("retinopathy", _VERSION, ClassReport, _write)
