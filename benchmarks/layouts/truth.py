"""What a generator knows of the files it wrote, and how a table of images is held against it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

KEPT = "as it is"
"""The answer to a question whose guess is right."""


@dataclass
class Truth:
    """Of each training image, by its path in the data folder.

    Attributes:
        task: as settings name it.
        areas: pixels of its masks, one number per class that it has.
        labels: its classes or its number, in any form that tells images apart as it should.
        groups: the group that must not be split; none where images are independent.
        tests: paths of the test images.
    """

    task: str
    areas: dict[str, list[int]] = field(default_factory=dict)
    labels: dict[str, object] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    tests: list[str] = field(default_factory=list)

    @property
    def images(self) -> set[str]:
        """Paths of the training images."""
        return set(self.areas) | set(self.labels)


@dataclass(frozen=True)
class Layout:
    """A competition's folder.

    Attributes:
        name: of the competition, short.
        source: where its layout is described.
        write: writes the files into a folder and returns the truth.
        answers: settings with which questions that `init` may well ask are answered, as --set
            takes them, or `KEPT`.
        may_refuse: whether a refusal in words is right, too: boxes are no masks.
    """

    name: str
    source: str
    write: Callable[[Path], Truth]
    answers: Mapping[str, str] = field(default_factory=dict)
    may_refuse: bool = False


def disagreements(truth: Truth, images: Path, folds: Path) -> list[str]:
    """Return in words where images.csv and folds.csv differ from the truth, nothing if they agree.

    Labels agree if they tell the same images apart, whatever they are called.

    Args:
        truth: of the generator.
        images: images.csv of a run.
        folds: its folds.csv.
    """
    rows = {row["path"]: row for row in _rows(images) if row["split"] == "train"}
    known = {path: row for path, row in rows.items() if path in truth.images}
    wrong = []
    if len(known) < len(truth.images):
        wrong.append(f"{len(known)} of {len(truth.images)} images")
    if extra := len(rows) - len(known):
        wrong.append(f"{extra} images too many")
    wrong += _wrong_areas(truth, known) + _wrong_labels(truth, known)
    return wrong + _split_groups(truth, known, folds)


def _wrong_areas(truth: Truth, rows: Mapping[str, Mapping[str, str]]) -> list[str]:
    if not truth.areas:
        return []
    different = [
        path
        for path, row in rows.items()
        if _areas_of(row) != sorted(a for a in truth.areas[path] if a)
    ]
    if not different:
        return []
    path = different[0]
    told = f"{_areas_of(rows[path])} for {sorted(truth.areas[path])} px"
    return [f"{len(different)} wrong mask areas, such as {told}"]


def _areas_of(row: Mapping[str, str]) -> list[int]:
    """Return the areas of the masks that are not empty, in order of size."""
    of_classes = [value for name, value in row.items() if name.startswith("area_px:")]
    return sorted(int(value) for value in of_classes or [row["area_px"]] if int(value or 0))


def _wrong_labels(truth: Truth, rows: Mapping[str, Mapping[str, str]]) -> list[str]:
    if not truth.labels:
        return []
    told = {path: row.get("number") or row.get("classes", "") for path, row in rows.items()}
    pairs = {(repr(truth.labels[path]), told[path]) for path in rows}
    alike = len(pairs) == len({true for true, _ in pairs}) == len({said for _, said in pairs})
    if alike:
        return []
    kinds = len({repr(label) for label in truth.labels.values()})
    return [f"labels: {len({said for _, said in pairs})} kinds for {kinds}"]


def _split_groups(truth: Truth, rows: Mapping[str, Mapping[str, str]], folds: Path) -> list[str]:
    if not truth.groups or not folds.is_file():
        return []
    fold_of = {row["image_id"]: row["fold"] for row in _rows(folds)}
    seen: dict[str, set[str]] = {}
    for path, row in rows.items():
        seen.setdefault(truth.groups[path], set()).add(fold_of.get(row["image_id"], "none"))
    split = sum(len(numbers) > 1 for numbers in seen.values())
    return [f"{split} of {len(seen)} groups in several folds"] if split else []


def _rows(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
