"""A synthetic competition in the files of the pneumonia set: chest X-rays in class folders."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.synthetic.anatomy import Anatomy, draw_anatomy
from goldfold.competitions.synthetic.class_report import ClassReport
from goldfold.competitions.synthetic.generator import Request, SyntheticCompetition
from goldfold.competitions.synthetic.phantom import lung_masks, render_phantom
from goldfold.competitions.synthetic.projection import Projection, draw_projection
from goldfold.files import write_bytes

ByteImage = NDArray[np.uint8]

_VERSION = 1  # raise it whenever the same seed gives different bytes
_PNEUMONIA = 0.7  # share of the patients, about as in the real set


def _write(folder: Path, request: Request) -> ClassReport:
    """Chest X-rays as JPEG in class folders, some with cloudy lungs.

    File names contain the patient, as in the real set. Sizes vary; `size` is about the shorter
    side. `val` contains some images of training patients. Quirks: a truncated file, and test images
    of a training patient.
    """
    plan = _plan_chests(request.train, request.test, request.size, request.seed, request.quirks)
    request.draw_all(functools.partial(_write_chest, folder, seed=request.seed), plan)
    planted: tuple[str, ...] = ()
    if request.quirks:
        bad = folder / plan[0].path
        bad.write_bytes(bad.read_bytes()[:-200])
        both = sum(chest.path.startswith("test/") and chest.person == 1 for chest in plan)
        planted = (f"truncated: {plan[0].path}", f"test images of person1: {both}")
    people = len({(chest.person, chest.ill) for chest in plan})
    return ClassReport(request.folder, request.train, request.test, people, planted)


@dataclass(frozen=True)
class _Chest:
    """The plan of a chest X-ray."""

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


def _write_chest(folder: Path, chest: _Chest, seed: int) -> None:
    rng = np.random.default_rng([seed, 22, chest.number])
    side = max(64, min(chest.height, chest.width))
    image = render_phantom(chest.anatomy, chest.projection, (), side, rng).image
    if chest.ill:
        image = _clouded(image, lung_masks(chest.anatomy, chest.projection, side), rng)
    resized = cv2.resize(image, (chest.width, chest.height), interpolation=cv2.INTER_LINEAR)
    write_bytes(folder / chest.path, cv2.imencode(".jpeg", resized)[1].tobytes())


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


synthesize_pneumonia = SyntheticCompetition("pneumonia", _VERSION, ClassReport, _write)
