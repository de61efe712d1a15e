"""A synthetic competition in the files of RSNA's hemorrhage: CT slices, a long table of classes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goldfold.competitions.synthetic.class_report import ClassReport
from goldfold.competitions.synthetic.csv_text import csv_text
from goldfold.competitions.synthetic.generator import Request, SyntheticCompetition
from goldfold.competitions.synthetic.head_ct import HEMORRHAGES, CtFile, ct_bytes, draw_slice
from goldfold.files import write_bytes, write_text

_VERSION = 2  # raise it whenever the same seed gives different bytes
_BLEEDING = 0.4
_SEVERAL = 0.3  # share of the slices with a hemorrhage that show a second kind
_WRONG_INTERCEPT = 0.06
_SPACING_MM = 5.0  # from slice to slice


def _write(folder: Path, request: Request) -> ClassReport:
    """CT slices as DICOM and a long label table with six rows per image; a patient has one series.

    `size` is the side of the slices in pixels. Quirks: repeated rows, rows without a file, a file
    without rows, and a damaged file.
    """
    plan = _plan_slices(request.train, request.test, request.seed)
    draw = functools.partial(_write_slice, folder, size=request.size, seed=request.seed)
    request.draw_all(draw, plan)
    planted = _write_tables(folder, plan, request.seed, request.quirks)
    people = len({ct_slice.file.patient for ct_slice in plan})
    return ClassReport(request.folder, request.train, request.test, people, planted)


@dataclass(frozen=True)
class _Slice:
    """The plan of a slice."""

    number: int
    split: str
    kinds: tuple[str, ...]
    file: CtFile


def _plan_slices(train: int, test: int, seed: int) -> list[_Slice]:
    rng = np.random.default_rng([seed, 23])
    plan: list[_Slice] = []
    for split, count in (("train", train), ("test", test)):
        drawn = bleeding = 0
        while drawn < count:
            patient = f"ID_{rng.integers(16**8):08x}"
            bits = 12 if rng.random() < 0.5 else 16
            series = f"{patient}00"
            for place in range(min(count - drawn, 1 + int(rng.integers(4)))):
                kinds: list[str] = []
                if rng.random() < _BLEEDING:
                    kinds = [HEMORRHAGES[bleeding % len(HEMORRHAGES)]]  # so that each occurs
                    if rng.random() < _SEVERAL:
                        kinds.append(str(rng.choice(HEMORRHAGES)))
                    bleeding += 1
                wrong = bits == 12 and bool(rng.random() < _WRONG_INTERCEPT)
                file = CtFile(
                    f"ID_{rng.integers(16**9):09x}",
                    patient,
                    bits,
                    wrong,
                    bool(rng.random() < 0.5),
                    series,
                    _SPACING_MM * place,
                )
                plan.append(_Slice(len(plan), split, tuple(sorted(set(kinds))), file))
                drawn += 1
    return plan


def _write_slice(folder: Path, ct_slice: _Slice, size: int, seed: int) -> None:
    rng = np.random.default_rng([seed, 24, ct_slice.number])
    values = draw_slice(ct_slice.kinds, size, rng)
    path = folder / f"stage_2_{ct_slice.split}_images" / f"{ct_slice.file.sop_instance_uid}.dcm"
    write_bytes(path, ct_bytes(values, ct_slice.file))


def _write_tables(folder: Path, plan: list[_Slice], seed: int, quirks: bool) -> tuple[str, ...]:
    classes = [*HEMORRHAGES, "any"]
    rng = np.random.default_rng([seed, 25])
    train = [ct_slice for ct_slice in plan if ct_slice.split == "train"]
    planted: tuple[str, ...] = ()
    known = train
    if quirks:
        broken, bare, repeated = train[0], train[1], train[2]
        path = folder / "stage_2_train_images" / f"{broken.file.sop_instance_uid}.dcm"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        known = [ct_slice for ct_slice in train if ct_slice is not bare]
        planted = (
            f"broken file: {broken.file.sop_instance_uid}",
            f"file without rows: {bare.file.sop_instance_uid}",
            f"rows that repeat: {repeated.file.sop_instance_uid}",
            "rows without a file: ID_ffffffff0",
        )
    rows = [
        (f"{ct_slice.file.sop_instance_uid}_{name}", str(int(_holds(name, ct_slice.kinds))))
        for ct_slice in known
        for name in classes
    ]
    if quirks:
        rows += [(f"ID_ffffffff0_{name}", "0") for name in classes]
        rows += [row for row in rows if row[0].startswith(f"{repeated.file.sop_instance_uid}_")]
        rows = [rows[place] for place in rng.permutation(len(rows))]
    write_text(folder / "stage_2_train.csv", csv_text(("ID", "Label"), rows))
    test = [ct_slice for ct_slice in plan if ct_slice.split == "test"]
    sample = [
        (f"{ct_slice.file.sop_instance_uid}_{name}", "0.5") for ct_slice in test for name in classes
    ]
    write_text(folder / "stage_2_sample_submission.csv", csv_text(("ID", "Label"), sample))
    truth = [
        (f"{ct_slice.file.sop_instance_uid}_{name}", str(int(_holds(name, ct_slice.kinds))))
        for ct_slice in test
        for name in classes
    ]
    write_text(folder / "solution.csv", csv_text(("ID", "Label"), truth))
    return planted


def _holds(name: str, kinds: tuple[str, ...]) -> bool:
    return bool(kinds) if name == "any" else name in kinds


synthesize_hemorrhage = SyntheticCompetition("hemorrhage", _VERSION, ClassReport, _write)
