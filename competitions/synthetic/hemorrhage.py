"""A synthetic twin of the hemorrhage competition: CT slices and a long table of classes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goldfold.competitions.synthetic.class_report import ClassReport
from goldfold.competitions.synthetic.ct import HEMORRHAGES, CtFile, ct_bytes, draw_slice
from goldfold.competitions.synthetic.tables import csv_text
from goldfold.competitions.synthetic.twin import Order, Twin
from goldfold.files import write_bytes, write_text

_VERSION = 1  # to be raised whenever the same seed gives other bytes
_BLEEDING = 0.4
_SEVERAL = 0.3  # of the slices with a hemorrhage: a second kind
_WRONG_INTERCEPT = 0.06


def _write(folder: Path, order: Order) -> ClassReport:
    """CT slices as DICOM, `size` their side in pixels, and a long label table of six rows an image.

    Quirks: rows that repeat, a slice without a file, a file without rows and a broken file.
    """
    plan = _plan_slices(order.train, order.test, order.seed)
    draw = functools.partial(_write_slice, folder, size=order.size, seed=order.seed)
    order.draw_all(draw, plan)
    planted = _write_tables(folder, plan, order.seed, order.quirks)
    people = len({one.file.patient for one in plan})
    return ClassReport(order.folder, order.train, order.test, people, planted)


@dataclass(frozen=True)
class _Slice:
    """A slice to be drawn."""

    number: int
    split: str
    kinds: tuple[str, ...]
    file: CtFile


def _plan_slices(train: int, test: int, seed: int) -> list[_Slice]:
    rng = np.random.default_rng([seed, 23])
    plan: list[_Slice] = []
    for split, count in (("train", train), ("test", test)):
        made = bleeding = 0
        while made < count:
            patient = f"ID_{rng.integers(16**8):08x}"
            bits = 12 if rng.random() < 0.5 else 16
            for _ in range(min(count - made, 1 + int(rng.integers(4)))):
                kinds: list[str] = []
                if rng.random() < _BLEEDING:
                    kinds = [HEMORRHAGES[bleeding % len(HEMORRHAGES)]]  # each comes up
                    if rng.random() < _SEVERAL:
                        kinds.append(str(rng.choice(HEMORRHAGES)))
                    bleeding += 1
                wrong = bits == 12 and bool(rng.random() < _WRONG_INTERCEPT)
                file = CtFile(
                    f"ID_{rng.integers(16**9):09x}", patient, bits, wrong, bool(rng.random() < 0.5)
                )
                plan.append(_Slice(len(plan), split, tuple(sorted(set(kinds))), file))
                made += 1
    return plan


def _write_slice(folder: Path, one: _Slice, size: int, seed: int) -> None:
    rng = np.random.default_rng([seed, 24, one.number])
    values = draw_slice(one.kinds, size, rng)
    path = folder / f"stage_2_{one.split}_images" / f"{one.file.sop_instance_uid}.dcm"
    write_bytes(path, ct_bytes(values, one.file))


def _write_tables(folder: Path, plan: list[_Slice], seed: int, quirks: bool) -> tuple[str, ...]:
    classes = [*HEMORRHAGES, "any"]
    rng = np.random.default_rng([seed, 25])
    train = [one for one in plan if one.split == "train"]
    planted: tuple[str, ...] = ()
    known = train
    if quirks:
        broken, bare, repeated = train[0], train[1], train[2]
        path = folder / "stage_2_train_images" / f"{broken.file.sop_instance_uid}.dcm"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        known = [one for one in train if one is not bare]
        planted = (
            f"broken file: {broken.file.sop_instance_uid}",
            f"file without rows: {bare.file.sop_instance_uid}",
            f"rows that repeat: {repeated.file.sop_instance_uid}",
            "rows without a file: ID_ffffffff0",
        )
    rows = [
        (f"{one.file.sop_instance_uid}_{name}", str(int(_holds(name, one.kinds))))
        for one in known
        for name in classes
    ]
    if quirks:
        rows += [(f"ID_ffffffff0_{name}", "0") for name in classes]
        rows += [row for row in rows if row[0].startswith(f"{repeated.file.sop_instance_uid}_")]
        rows = [rows[place] for place in rng.permutation(len(rows))]
    write_text(folder / "stage_2_train.csv", csv_text(("ID", "Label"), rows))
    test = [one for one in plan if one.split == "test"]
    sample = [(f"{one.file.sop_instance_uid}_{name}", "0.5") for one in test for name in classes]
    write_text(folder / "stage_2_sample_submission.csv", csv_text(("ID", "Label"), sample))
    truth = [
        (f"{one.file.sop_instance_uid}_{name}", str(int(_holds(name, one.kinds))))
        for one in test
        for name in classes
    ]
    write_text(folder / "solution.csv", csv_text(("ID", "Label"), truth))
    return planted


def _holds(name: str, kinds: tuple[str, ...]) -> bool:
    return bool(kinds) if name == "any" else name in kinds


synthesize_hemorrhage = Twin("hemorrhage", _VERSION, ClassReport, _write)
