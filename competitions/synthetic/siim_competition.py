"""A synthetic competition in SIIM's file formats, generated from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldfold.competitions.synthetic.competition_folder import (
    known_report,
    told_quirks,
    write_report,
)
from goldfold.competitions.synthetic.patients import ImagePlan
from goldfold.competitions.synthetic.siim_release import ReleasePlan, plan_release, write_release
from goldfold.errors import InputError, list_problems
from goldfold.files import whole_folder
from goldfold.progress import SILENT, Progress
from goldfold.text_table import Line, Table

_VERSION = 1  # raise it whenever the same seed gives different bytes
_SMALLEST, _LARGEST = 64, 4096


@dataclass(frozen=True)
class SyntheticReport:
    """The content of a synthetic competition."""

    folder: Path
    train_images: int
    train_patients: int
    train_positive: int
    test_images: int
    test_patients: int
    public_images: int
    public_positive: int
    private_images: int
    private_positive: int
    label_rows: int
    """Rows of train-rle.csv; there are more rows than ids, as some images have several."""
    unlabelled: tuple[str, ...] = ()
    """Training images without a row (quirk)."""
    imageless: tuple[str, ...] = ()
    """Ids in train-rle.csv without an image (quirk)."""

    def lines(self, size: int) -> list[Line]:
        """Return it as text to print."""
        test_positive = self.public_positive + self.private_positive
        counts = [
            ["training", self.train_images, self.train_patients, self.train_positive],
            ["test", self.test_images, self.test_patients, test_positive],
        ]
        return [
            f"{self.folder}: {size} x {size} px, {self.label_rows:,} label rows",
            Table(["images", "number", "patients", "with pneumothorax"], counts),
            *told_quirks(("no label row", self.unlabelled), ("no image", self.imageless)),
        ]


def synthesize(
    folder: Path,
    *,
    train: int,
    test: int,
    size: int,
    seed: int,
    quirks: bool = False,
    progress: Progress = SILENT,
    workers: int | None = None,
) -> SyntheticReport:
    """Write a competition in SIIM's layout and return its report; the same seed, the same bytes.

    Idempotent and atomic: if the folder already contains the same competition, nothing is done,
    and an interrupted call leaves no folder behind.

    Args:
        folder: the output folder; it must not exist, be empty, or contain the same competition.
        train: number of training images.
        test: number of test images; half of them are Public.
        size: side of the images in pixels.
        seed: determines everything that is random.
        quirks: add quirks of real files: images without a row, rows without an image, " -1" and
            "" for empty masks, overlapping rows, rows in any order.
        progress: advances once per image.
        workers: number of threads, which does not change the result; None = number of cores.

    Raises:
        InputError: an argument is out of range, or the folder contains something else.
        OutputError: the folder cannot be written.
    """
    _check_arguments(train, test, size, seed)
    request: dict[str, Any] = {"train": train, "test": test, "size": size, "seed": seed}
    request |= {"quirks": quirks, "version": _VERSION}
    if (existing := known_report(folder, request, progress)) is not None:
        return SyntheticReport(folder=folder, **existing)
    plan = plan_release(train, test, seed, quirks)
    with whole_folder(folder) as partial:
        label_rows = write_release(
            partial, plan, size=size, seed=seed, workers=workers, progress=progress
        )
        report = _report(folder, plan, label_rows)
        write_report(partial, request, report)
    return report


def _report(folder: Path, plan: ReleasePlan, label_rows: int) -> SyntheticReport:
    test = [*plan.public, *plan.private]
    return SyntheticReport(
        folder=folder,
        train_images=len(plan.train),
        train_patients=len({image.patient for image in plan.train}),
        train_positive=_positive(plan.train),
        test_images=len(test),
        test_patients=len({image.patient for image in test}),
        public_images=len(plan.public),
        public_positive=_positive(plan.public),
        private_images=len(plan.private),
        private_positive=_positive(plan.private),
        label_rows=label_rows,
        unlabelled=plan.unlabelled,
        imageless=plan.imageless,
    )


def _positive(plans: Sequence[ImagePlan]) -> int:
    return sum(bool(plan.crescents) for plan in plans)


def _check_arguments(train: int, test: int, size: int, seed: int) -> None:
    wanted = (
        ("train", train, 4, 1_000_000),
        ("test", test, 4, 1_000_000),
        ("size", size, _SMALLEST, _LARGEST),
        ("seed", seed, 0, 2**63),
    )
    problems = [
        f"{name} = {value} must be between {low} and {high}"
        for name, value, low, high in wanted
        if not low <= value <= high
    ]
    if problems:
        raise InputError(list_problems("cannot make a synthetic competition:", problems))
