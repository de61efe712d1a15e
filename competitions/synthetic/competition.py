"""A synthetic competition in SIIM's file formats, made from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldfold.competitions.synthetic.cohort import ImagePlan
from goldfold.competitions.synthetic.folder import known_report, write_report
from goldfold.competitions.synthetic.release import ReleasePlan, plan_release, write_release
from goldfold.errors import InputError, list_problems
from goldfold.files import whole_folder
from goldfold.progress import SILENT, Progress

_VERSION = 1  # to be raised whenever the same seed gives other bytes
_SMALLEST, _LARGEST = 64, 4096


@dataclass(frozen=True)
class SyntheticReport:
    """What a synthetic competition holds."""

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
    """Rows of train-rle.csv; more than ids, because some images have several."""
    unlabelled: tuple[str, ...] = ()
    """Training images without a row (quirk)."""
    imageless: tuple[str, ...] = ()
    """Ids in train-rle.csv without an image (quirk)."""


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
    """Return what was written: a competition in SIIM's layout, the same bytes for the same seed.

    The folder appears when all is written, so a kill leaves none. If it already holds the very
    same competition, nothing is done.

    Args:
        folder: where it goes; must not exist, or be empty, or hold the same competition.
        train: training images.
        test: test images, half of them Public.
        size: side of the images in pixels.
        seed: decides everything.
        quirks: add what real files have: images without a row, rows without an image, " -1" and
            "" for empty masks, overlapping rows, rows in any order.
        progress: told of each image.
        workers: threads; None = the number of processor cores. They do not change the result.

    Raises:
        InputError: an argument is out of its range or the folder holds something else.
        OutputError: the folder cannot be written.
    """
    _check_arguments(train, test, size, seed)
    order: dict[str, Any] = {"train": train, "test": test, "size": size, "seed": seed}
    order |= {"quirks": quirks, "version": _VERSION}
    if (there := known_report(folder, order, progress)) is not None:
        return SyntheticReport(folder=folder, **there)
    plan = plan_release(train, test, seed, quirks)
    with whole_folder(folder) as partial:
        label_rows = write_release(
            partial, plan, size=size, seed=seed, workers=workers, progress=progress
        )
        found = _report(folder, plan, label_rows)
        write_report(partial, order, found)
    return found


def _report(folder: Path, plan: ReleasePlan, label_rows: int) -> SyntheticReport:
    test = [*plan.public, *plan.private]
    return SyntheticReport(
        folder=folder,
        train_images=len(plan.train),
        train_patients=len({one.patient for one in plan.train}),
        train_positive=_positive(plan.train),
        test_images=len(test),
        test_patients=len({one.patient for one in test}),
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
        f"{name} = {value} must lie between {low} and {high}"
        for name, value, low, high in wanted
        if not low <= value <= high
    ]
    if problems:
        raise InputError(list_problems("cannot make a synthetic competition:", problems))
