"""A synthetic competition in the files of UW-Madison: MRI slices, three label rows per slice."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from goldfold.competitions.rle import format_runs, get_dialect, merge_runs, parse
from goldfold.competitions.synthetic.abdomen import (
    CLASSES,
    Build,
    draw_abdomen,
    draw_build,
    on_a_day,
)
from goldfold.competitions.synthetic.csv_text import csv_text
from goldfold.competitions.synthetic.generator import Request, SyntheticCompetition
from goldfold.competitions.synthetic.mask_release import (
    SOLUTION_FILE,
    Drawn,
    MaskReport,
    finish,
    merge_masks,
    texts_of,
    usage,
)
from goldfold.files import write_bytes, write_text

Rows = list[tuple[str, str, str]]

_VERSION = 1  # raise it whenever the same seed gives different bytes
_SLICES = 8  # per day; real days have 80 or 144
_DAYS = 3  # at most, per case; fewer if there would otherwise be fewer than `_CASES` cases
_CASES = 6
_SIZES = ((266, 266), (360, 310), (276, 276), (234, 234))  # width and height
_SPACING = {276: "1.63"}  # width -> mm; all others have 1.50
_LARGEST = 360
_OFTEN = (0.6, 0.3, 0.05, 0.05)
_BELOW, _ABOVE = -0.45, 1.45  # range of z; half of the slices show none of the organs
_HEADER = ("id", "class")
_LOST = "case999_day9_slice_0001"
_SHOWN = 16


def _write(folder: Path, request: Request) -> MaskReport:
    """16-bit slices and masks of three organs in UW-Madison's layout.

    Each case has one to three days of eight slices; test slices are from other cases. `size` is the
    longer side of the largest slices in pixels (360 in the real data); the others are smaller, as
    in the real data. Quirks: a slice without rows, rows without a slice, a repeated row, and
    overlapping masks of two organs.
    """
    plan = _plan(request.train, request.test, request.size, request.seed)
    train, test = slice(None, request.train), slice(request.train, None)
    drawn = request.draw_all(functools.partial(_draw, folder, seed=request.seed), plan)
    rows = _rows(plan[train], drawn[train])
    planted: tuple[str, ...] = ()
    if request.quirks:
        rows, planted = _disturbed(rows)
    write_text(folder / "train.csv", csv_text((*_HEADER, "segmentation"), rows))
    _write_test_tables(folder, plan[test], drawn[test])
    return finish(folder, request, drawn, len(rows), planted)


@dataclass(frozen=True)
class _Slice:
    """The plan of a slice."""

    number: int
    split: str
    case: int
    day: int
    place: int
    """Number of the slice within its day, from 1."""
    z: float
    build: Build
    width: int
    height: int
    spacing: str
    shown: bool

    @property
    def image_id(self) -> str:
        return f"case{self.case}_day{self.day}_slice_{self.place:04d}"

    @property
    def path(self) -> str:
        day = f"case{self.case}_day{self.day}"
        form = f"{self.width}_{self.height}_{self.spacing}_{self.spacing}"
        name = f"slice_{self.place:04d}_{form}.png"
        return f"{self.split}/case{self.case}/{day}/scans/{name}"


def _plan(train: int, test: int, size: int, seed: int) -> list[_Slice]:
    rng = np.random.default_rng([seed, 41])
    plan: list[_Slice] = []
    case = 0
    for split, count in (("train", train), ("test", test)):
        left, most = count, max(1, min(_DAYS, count // (_SLICES * _CASES)))
        while left > 0:
            case += 1 + int(rng.integers(3))
            build, day = draw_build(rng), 0
            wide, high = _SIZES[int(rng.choice(len(_SIZES), p=_OFTEN))]
            width, height = (max(1, round(side * size / _LARGEST)) for side in (wide, high))
            for _ in range(1 + int(rng.integers(most))):
                today = on_a_day(build, rng)
                for place in range(min(left, _SLICES)):
                    z = _BELOW + (_ABOVE - _BELOW) * (place + 0.5) / _SLICES
                    number = len(plan)
                    shown = split == "train" and number < _SHOWN
                    plan.append(
                        _Slice(
                            number, split, case, day, place + 1, z, today, width, height,
                            _SPACING.get(wide, "1.50"), shown,
                        )
                    )  # fmt: skip
                left -= min(left, _SLICES)
                day += 1 + int(rng.integers(20))
    return plan


def _draw(folder: Path, mri_slice: _Slice, *, seed: int) -> Drawn:
    rng = np.random.default_rng([seed, 42, mri_slice.number])
    image, masks = draw_abdomen(
        mri_slice.build, mri_slice.z, mri_slice.height, mri_slice.width, rng
    )
    write_bytes(folder / mri_slice.path, cv2.imencode(".png", image)[1].tobytes())
    sample = None
    if mri_slice.shown:
        bright = image.astype(np.float32) * (255 / max(1, int(image.max())))
        sample = (np.asarray(bright, np.uint8), merge_masks(masks, image.shape))
    return Drawn(texts_of(masks, "row-major"), sample)


def _rows(plan: list[_Slice], drawn: list[Drawn]) -> Rows:
    return [
        (mri_slice.image_id, name, text)
        for mri_slice, image in zip(plan, drawn, strict=True)
        for name, text in zip(CLASSES, image.texts, strict=True)
    ]


def _disturbed(rows: Rows) -> tuple[Rows, tuple[str, ...]]:
    """Return the rows with quirks added, and one line per quirk."""
    texts = {(image_id, name): text for image_id, name, text in rows}
    ids = list(dict.fromkeys(image_id for image_id, _, _ in rows))
    bare = next(image_id for image_id in ids if not any(texts[image_id, name] for name in CLASSES))
    both = next(
        image_id for image_id in ids if sum(bool(texts[image_id, name]) for name in CLASSES) > 1
    )
    first, second = [name for name in CLASSES if texts[both, name]][:2]
    dialect = get_dialect("row-major")
    grown = merge_runs([parse(texts[both, name], dialect) for name in (first, second)])
    texts[both, first] = format_runs(grown, dialect)
    twice = next(
        (image_id, name) for image_id, name, text in reversed(rows) if text and image_id != both
    )
    changed = [
        (image_id, name, texts[image_id, name]) for image_id, name, _ in rows if image_id != bare
    ]
    lost = [(_LOST, name, "") for name in CLASSES]
    planted = (
        f"slice without rows: {bare}",
        f"rows without a slice: {_LOST}",
        f"row that is there twice: {twice[0]} {twice[1]}",
        f"{first} lies over {second}: {both}",
    )
    return [*changed, *lost, (*twice, texts[twice])], planted


def _write_test_tables(folder: Path, plan: list[_Slice], drawn: list[Drawn]) -> None:
    """Write the sample submission and the hidden solution, in the same order."""
    rows = _rows(plan, drawn)
    sample = [(image_id, name, "") for image_id, name, _ in rows]
    write_text(folder / "sample_submission.csv", csv_text((*_HEADER, "predicted"), sample))
    cases = list(dict.fromkeys(mri_slice.case for mri_slice in plan))
    part = {mri_slice.image_id: usage(cases.index(mri_slice.case)) for mri_slice in plan}
    solution = [(*row, part[row[0]]) for row in rows]
    write_text(folder / SOLUTION_FILE, csv_text((*_HEADER, "predicted", "Usage"), solution))


synthesize_abdomen = SyntheticCompetition("abdomen", _VERSION, MaskReport, _write)
