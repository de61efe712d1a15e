"""The files of a synthetic SIIM competition: images, tables, hidden solution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.synthetic.competition_folder import draw_all
from goldfold.competitions.synthetic.contact_sheet import write_contact_sheet
from goldfold.competitions.synthetic.csv_text import csv_text
from goldfold.competitions.synthetic.dicom_writer import ChestHeader, dicom_bytes
from goldfold.competitions.synthetic.patients import ImagePlan, plan_cohorts, spare_ids
from goldfold.competitions.synthetic.phantom import render_phantom
from goldfold.competitions.synthetic.siim_tables import (
    EMPTY,
    disturb_rows,
    imageless_rows,
    label_rows,
    label_texts,
)
from goldfold.files import write_bytes, write_text
from goldfold.progress import Progress

ByteImage = NDArray[np.uint8]

SHEET_FILE = "contact-sheet.png"
_SHEET_IMAGES = 16
_UNLABELLED, _IMAGELESS, _READ_TWICE = 0.03, 0.02, 0.1
_WHOLE_CHEST_MM = 172.0  # side of SIIM's images: 1024 pixels of 0.168 mm


@dataclass(frozen=True)
class ReleasePlan:
    """The plans of all images, and the quirks."""

    train: list[ImagePlan]
    public: list[ImagePlan]
    private: list[ImagePlan]
    quirks: bool
    unlabelled: tuple[str, ...]
    """Ids of negative training images without a row."""
    imageless: tuple[str, ...]
    """Ids in the label table without an image."""
    read_twice: tuple[str, ...]
    """Ids of training images with an additional, overlapping row."""


@dataclass(frozen=True)
class _Drawn:
    """What is kept of an image after its file is written."""

    texts: list[str]
    sample: tuple[ByteImage, ByteImage] | None
    """Image and mask, for the contact sheet."""


def plan_release(train: int, test: int, seed: int, quirks: bool) -> ReleasePlan:
    """Return the plan of a competition; the quirks change tables, never an image."""
    plans, public, private = plan_cohorts((train, test - test // 2, test // 2), seed)
    positive = [plan.image_id for plan in plans if plan.crescents]
    negative = [plan.image_id for plan in plans if not plan.crescents]
    return ReleasePlan(
        train=plans,
        public=public,
        private=private,
        quirks=quirks,
        unlabelled=tuple(negative[: max(1, round(_UNLABELLED * train))]) if quirks else (),
        imageless=spare_ids(max(2, round(_IMAGELESS * train)), seed) if quirks else (),
        read_twice=tuple(positive[: max(1, round(_READ_TWICE * train / 4))]) if quirks else (),
    )


def write_release(
    folder: Path,
    plan: ReleasePlan,
    *,
    size: int,
    seed: int,
    workers: int | None,
    progress: Progress,
) -> int:
    """Write images, tables and a contact sheet; return the number of rows in the label table."""
    test = [*plan.public, *plan.private]
    drawn = _draw_all(folder, plan, size, seed, workers, progress)
    texts = {image_id: result.texts for image_id, result in drawn.items()}
    rng = np.random.default_rng([seed, 2])
    test = [test[index] for index in rng.permutation(len(test))]
    labelled = [image.image_id for image in plan.train if image.image_id not in plan.unlabelled]
    rows = label_rows(labelled, texts)
    if plan.quirks:
        rows = disturb_rows(rows + imageless_rows(plan.imageless, size), rng)
    write_text(folder / "train-rle.csv", csv_text(("ImageId", " EncodedPixels"), rows))
    _write_test_tables(folder, [image.image_id for image in test], plan, texts)
    samples = [result.sample for result in drawn.values() if result.sample]
    samples.sort(key=lambda sample: not sample[1].any())  # those with a pneumothorax first
    write_contact_sheet(
        folder / SHEET_FILE, [image for image, _ in samples], [mask for _, mask in samples]
    )
    return len(rows)


def _write_test_tables(
    folder: Path, image_ids: list[str], plan: ReleasePlan, texts: dict[str, list[str]]
) -> None:
    """Write the sample submission and the hidden solution, in the same order."""
    header = ("ImageId", "EncodedPixels")
    sample = [(image_id, EMPTY) for image_id in image_ids]
    write_text(folder / "stage_2_sample_submission.csv", csv_text(header, sample))
    public = {image.image_id for image in plan.public}
    solution = [
        (image_id, text, "Public" if image_id in public else "Private")
        for image_id, text in label_rows(image_ids, texts)
    ]
    write_text(folder / "solution.csv", csv_text((*header, "Usage"), solution))


def _draw_all(
    folder: Path,
    plan: ReleasePlan,
    size: int,
    seed: int,
    workers: int | None,
    progress: Progress,
) -> dict[str, _Drawn]:
    """Write all images; the result does not depend on the number of threads."""
    plans = [*plan.train, *plan.public, *plan.private]
    folders = ["dicom-images-train"] * len(plan.train)
    folders += ["dicom-images-test"] * (len(plans) - len(plan.train))
    draw = partial(_draw, plan=plan, size=size, seed=seed, shown=_shown(plan.train))
    places = [folder / name for name in folders]
    items = list(zip(places, plans, range(len(plans)), strict=True))
    drawn = draw_all(lambda item: draw(*item), items, workers, progress)
    return {image.image_id: result for image, result in zip(plans, drawn, strict=True)}


def _shown(train: Sequence[ImagePlan]) -> set[str]:
    """Return the ids of the images on the contact sheet, up to half of them positive."""
    positive = [plan.image_id for plan in train if plan.crescents][: _SHEET_IMAGES // 2]
    negative = [plan.image_id for plan in train if not plan.crescents]
    return {*positive, *negative[: _SHEET_IMAGES - len(positive)]}


def _draw(
    folder: Path,
    image: ImagePlan,
    index: int,
    *,
    plan: ReleasePlan,
    size: int,
    seed: int,
    shown: set[str],
) -> _Drawn:
    """Render one image and write its DICOM as STUDY/SERIES/ID.dcm."""
    rng = np.random.default_rng([seed, 3, index])
    phantom = render_phantom(image.anatomy, image.projection, image.crescents, size, rng)
    path = folder / image.study_uid / image.series_uid / f"{image.image_id}.dcm"
    write_bytes(path, dicom_bytes(phantom.image, _header(image, size)))
    sample = (phantom.image, phantom.mask()) if image.image_id in shown else None
    return _Drawn(label_texts(phantom.masks, image.image_id in plan.read_twice), sample)


def _header(image: ImagePlan, size: int) -> ChestHeader:
    return ChestHeader(
        sop_instance_uid=image.image_id,
        study_uid=image.study_uid,
        series_uid=image.series_uid,
        patient=image.patient,
        sex=image.anatomy.sex,
        age=image.anatomy.age,
        view=image.projection.view,
        spacing_mm=round(_WHOLE_CHEST_MM / size, 3),
        monochrome1=image.projection.monochrome1,
    )
