"""Synthetic twins of the competitions with classes: X-rays in class folders, CT slices."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.synthetic.anatomy import Anatomy, draw_anatomy
from goldfold.competitions.synthetic.ct import HEMORRHAGES, CtFile, ct_bytes, draw_slice
from goldfold.competitions.synthetic.folder import FACTS_FILE, existing_report, whole_folder
from goldfold.competitions.synthetic.phantom import lung_masks, render_phantom
from goldfold.competitions.synthetic.projection import Projection, draw_projection
from goldfold.competitions.synthetic.tables import csv_text
from goldfold.errors import InputError
from goldfold.files import write_bytes, write_json, write_text
from goldfold.progress import SILENT, Progress

ByteImage = NDArray[np.uint8]
Item = TypeVar("Item")

_VERSION = 1  # to be raised whenever the same seed gives other bytes
_PNEUMONIA = 0.7  # of the training images, as in the real set
_BLEEDING = 0.4
_SEVERAL = 0.3  # of the slices with a hemorrhage: a second kind
_WRONG_INTERCEPT = 0.06


@dataclass(frozen=True)
class ClassReport:
    """What a synthetic competition with classes holds."""

    folder: Path
    train_images: int
    test_images: int
    patients: int
    quirks: tuple[str, ...] = field(default=())
    """What was planted, one line each."""


def synthesize_pneumonia(
    folder: Path,
    *,
    train: int,
    test: int,
    size: int,
    seed: int,
    quirks: bool = False,
    progress: Progress = SILENT,
    workers: int | None = None,
) -> ClassReport:
    """Return what was written: JPEGs of chests in class folders, some with cloudy lungs.

    Names tell the patient as in the real set; sizes differ; `val` has some images of training
    patients.

    Args:
        folder: where it goes; must not exist, or be empty, or hold the same set.
        train: images in train and val.
        test: images in test.
        size: about the shorter side in pixels.
        seed: decides everything.
        quirks: a truncated file, and a patient of the training set among the test images.
        progress: told of each image.
        workers: threads; None = the number of processor cores. They do not change the result.

    Raises:
        InputError: an argument is out of its range or the folder holds something else.
        OutputError: the folder cannot be written.
    """
    order = _order("pneumonia", train, test, size, seed, quirks)
    if (there := existing_report(folder, order)) is not None:
        return _known(folder, there, progress)
    plan = _plan_chests(train, test, size, seed, quirks)
    with whole_folder(folder) as partial:
        _in_threads(lambda one: _write_chest(partial, one, seed), plan, workers, progress)
        planted: tuple[str, ...] = ()
        if quirks:
            bad = partial / plan[0].path
            bad.write_bytes(bad.read_bytes()[:-200])
            both = sum(one.path.startswith("test/") and one.person == 1 for one in plan)
            planted = (f"truncated: {plan[0].path}", f"test images of person1: {both}")
        people = len({(one.person, one.ill) for one in plan})
        report = ClassReport(folder, train, test, people, planted)
        _write_facts(partial, order, report)
    return report


@dataclass(frozen=True)
class _Chest:
    """A chest X-ray to be drawn."""

    number: int
    path: str
    person: int
    ill: bool
    anatomy: Anatomy
    projection: Projection
    height: int
    width: int


def _plan_chests(train: int, test: int, size: int, seed: int, quirks: bool) -> list[_Chest]:
    rng = np.random.default_rng([seed, 21])
    plan: list[_Chest] = []
    person = 0
    for split, count in (("train", train), ("test", test)):
        left = count
        while left > 0:
            person += 1
            ill = bool(rng.random() < _PNEUMONIA) if left < count else split == "train"
            if quirks and split == "test" and left == count:
                person, ill = 1, True
            anatomy = draw_anatomy(rng)
            for shot in range(min(left, 1 + int(rng.integers(3)))):
                number = len(plan) + 1
                kind = "virus" if rng.random() < 0.4 else "bacteria"
                name = f"person{person}_{kind}_{number}" if ill else f"IM-{person:04d}-{shot:04d}"
                place = "val" if split == "train" and number % 12 == 0 else split
                path = f"{place}/{'PNEUMONIA' if ill else 'NORMAL'}/{name}.jpeg"
                height = size + int(rng.integers(size // 4 + 1))
                width = size + int(rng.integers(size // 2 + 1))
                chest = (anatomy, draw_projection(rng), height, width)
                plan.append(_Chest(number, path, person, ill, *chest))
                left -= 1
            if quirks and split == "test" and person == 1:
                person = 10_000
    return plan


def _write_chest(folder: Path, one: _Chest, seed: int) -> None:
    rng = np.random.default_rng([seed, 22, one.number])
    side = max(64, min(one.height, one.width))
    image = render_phantom(one.anatomy, one.projection, (), side, rng).image
    if one.ill:
        image = _clouded(image, lung_masks(one.anatomy, one.projection, side), rng)
    resized = cv2.resize(image, (one.width, one.height), interpolation=cv2.INTER_LINEAR)
    write_bytes(folder / one.path, cv2.imencode(".jpeg", resized)[1].tobytes())


def _clouded(
    image: ByteImage, lungs: tuple[ByteImage, ByteImage], rng: np.random.Generator
) -> ByteImage:
    """Return the image with cloudy patches in one or both lungs."""
    side = image.shape[0]
    cloud = np.zeros((side, side), np.float32)
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / side
    for mask in lungs if rng.random() < 0.6 else lungs[: 1 + int(rng.random() < 0.5)]:
        inside = np.argwhere(mask)
        for _ in range(1 + int(rng.integers(3))):
            row, column = inside[rng.integers(len(inside))] / side
            wide, high = rng.uniform(0.05, 0.13, 2)
            blob = np.exp(-((rows - row) ** 2) / high**2 - ((columns - column) ** 2) / wide**2)
            cloud = np.maximum(cloud, blob.astype(np.float32) * mask)
    grain = rng.standard_normal((side, side), dtype=np.float32)
    blur = cv2.GaussianBlur(grain, (0, 0), side * 0.02) * np.float32(side * 0.06)
    bright = cloud * (rng.uniform(45, 85) + 12 * blur)
    return np.asarray(np.clip(image + bright, 0, 255), dtype=np.uint8)


def synthesize_hemorrhage(
    folder: Path,
    *,
    train: int,
    test: int,
    size: int,
    seed: int,
    quirks: bool = False,
    progress: Progress = SILENT,
    workers: int | None = None,
) -> ClassReport:
    """Return what was written: CT slices as DICOM and a long label table of six rows an image.

    Args:
        folder: where it goes; must not exist, or be empty, or hold the same set.
        train: training slices.
        test: test slices.
        size: side in pixels.
        seed: decides everything.
        quirks: rows that repeat, a slice without a file, a file without rows and a broken file.
        progress: told of each image.
        workers: threads; None = the number of processor cores. They do not change the result.

    Raises:
        InputError: an argument is out of its range or the folder holds something else.
        OutputError: the folder cannot be written.
    """
    order = _order("hemorrhage", train, test, size, seed, quirks)
    if (there := existing_report(folder, order)) is not None:
        return _known(folder, there, progress)
    plan = _plan_slices(train, test, seed)
    with whole_folder(folder) as partial:
        _in_threads(lambda one: _write_slice(partial, one, size, seed), plan, workers, progress)
        planted = _write_tables(partial, plan, seed, quirks)
        people = len({one.file.patient for one in plan})
        report = ClassReport(folder, train, test, people, planted)
        _write_facts(partial, order, report)
    return report


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


def _order(kind: str, train: int, test: int, size: int, seed: int, quirks: bool) -> dict[str, Any]:
    """Return what the competition is made with.

    Raises:
        InputError: an argument is out of its range.
    """
    if not (4 <= train <= 10**6 and 4 <= test <= 10**6 and 64 <= size <= 4096 and seed >= 0):
        raise InputError(
            "expected at least 4 training and test images of 64 to 4,096 pixels and a seed of 0 or "
            f"more, found {train}, {test}, {size} and {seed}."
        )
    return {
        "kind": kind, "train": train, "test": test, "size": size, "seed": seed, "quirks": quirks,
        "version": _VERSION,
    }  # fmt: skip


def _known(folder: Path, report: dict[str, Any], progress: Progress) -> ClassReport:
    progress.say(f"{folder} holds this synthetic competition already")
    return ClassReport(folder=folder, **{**report, "quirks": tuple(report["quirks"])})


def _write_facts(folder: Path, order: dict[str, Any], report: ClassReport) -> None:
    facts = {key: value for key, value in asdict(report).items() if key != "folder"}
    write_json(folder / FACTS_FILE, {"made_with": order, "report": facts})


def _in_threads(
    draw: Callable[[Item], None], plan: Iterable[Item], workers: int | None, progress: Progress
) -> None:
    items = list(plan)
    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    try:
        with progress.task("synthetic images", len(items)) as task:
            for _ in pool.map(draw, items):
                task.advance()
    finally:
        pool.shutdown(cancel_futures=True)
