"""A synthetic data set in the files of Montgomery and Shenzhen: X-rays and lung masks as PNG."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.synthetic.anatomy import Anatomy, draw_anatomy
from goldfold.competitions.synthetic.competition_folder import (
    draw_all,
    known_report,
    told_quirks,
    write_report,
)
from goldfold.competitions.synthetic.contact_sheet import write_contact_sheet
from goldfold.competitions.synthetic.phantom import lung_masks, render_phantom
from goldfold.competitions.synthetic.projection import draw_projection
from goldfold.errors import InputError
from goldfold.files import whole_folder, write_bytes, write_text
from goldfold.progress import SILENT, Progress
from goldfold.text_table import Line

ByteImage = NDArray[np.uint8]

_VERSION = 1  # raise it whenever the same seed gives different bytes
_SHORT_SIDE = 4020 / 4892  # of Montgomery's images, landscape or portrait; the long side is 1
_SHENZHEN = 0.2  # with quirks: share of the images with the names and masks of Shenzhen
_SHOWN = 8


@dataclass(frozen=True)
class LungReport:
    """The content of a synthetic set of lungs."""

    folder: Path
    images: int
    mask_files: int
    unlabelled: tuple[str, ...] = ()
    """Images without a mask (quirk)."""
    imageless: tuple[str, ...] = ()
    """Masks without an image (quirk)."""

    def lines(self, size: int) -> list[Line]:
        """Return it as text to print."""
        counts = f"{self.folder}: {self.images:,} images, {self.mask_files:,} mask files"
        return [counts, *told_quirks(("no mask", self.unlabelled), ("no image", self.imageless))]


@dataclass(frozen=True)
class _Image:
    """The plan of an image."""

    number: int
    image_id: str
    shenzhen: bool
    ill: bool
    anatomy: Anatomy
    height: int
    width: int


def synthesize_training_lungs(folder: Path, *, train: int, test: int, **how: Any) -> LungReport:
    """Write lungs as other competitions are written; there are no test images."""
    return synthesize_lungs(folder, images=train, **how)


def synthesize_lungs(
    folder: Path,
    *,
    images: int,
    size: int,
    seed: int,
    quirks: bool = False,
    progress: Progress = SILENT,
    workers: int | None = None,
) -> LungReport:
    """Write X-rays and lung masks in Montgomery's layout and return the report.

    Args:
        folder: the output folder; it must not exist, be empty, or contain the same set.
        images: number of images.
        size: longer side in pixels; the aspect ratio is Montgomery's, landscape or portrait.
        seed: determines everything that is random.
        quirks: a fifth of the images have Shenzhen's names and single masks, one of them without
            a mask; and there is a mask without an image.
        progress: advances once per image.
        workers: number of threads, which does not change the result; None = number of cores.

    Raises:
        InputError: an argument is out of range, or the folder contains something else.
        OutputError: the folder cannot be written.
    """
    if not 4 <= images <= 9999 or not 64 <= size <= 8192 or seed < 0:
        raise InputError(
            f"expected 4 to 9,999 images of 64 to 8,192 pixels and a seed of 0 or more, found "
            f"{images}, {size} and {seed}."
        )
    request: dict[str, Any] = {"kind": "lungs", "images": images, "size": size, "seed": seed}
    request |= {"quirks": quirks, "version": _VERSION}
    if (existing := known_report(folder, request, progress)) is not None:
        return LungReport(folder=folder, **existing)
    plan = _plan(images, size, seed, quirks)
    bare = next((planned.image_id for planned in plan if planned.shenzhen), None)
    lost = "CHNCXR_9999_0" if quirks else None
    with whole_folder(folder) as partial:
        draw = functools.partial(_draw, partial, size=size, seed=seed, bare=bare)
        drawn = draw_all(draw, plan, workers, progress)
        samples = [sample for sample in drawn if sample is not None]
        if lost is not None:
            _write_png(partial / "mask" / f"{lost}_mask.png", samples[0][1] * 255)
        write_contact_sheet(
            partial / "contact-sheet.png",
            [image for image, _ in samples],
            [mask for _, mask in samples],
        )
        files = len([path for path in partial.rglob("*.png") if "ask" in path.parent.name])
        report = LungReport(folder, images, files, (bare,) if bare else (), (lost,) if lost else ())
        write_report(partial, request, report)
    return report


def _plan(images: int, size: int, seed: int, quirks: bool) -> list[_Image]:
    rng = np.random.default_rng([seed, 11])
    short = round(size * _SHORT_SIDE)
    others = round(_SHENZHEN * images) if quirks else 0
    plan = []
    for number in range(1, images + 1):
        shenzhen, ill = number > images - others, bool(rng.random() < 0.42)
        prefix = "CHNCXR" if shenzhen else "MCUCXR"
        shape = (size, short) if rng.random() < 0.5 else (short, size)
        if shenzhen:  # where sizes vary
            shape = (size - int(rng.integers(size // 8)), size - int(rng.integers(size // 8)))
        name = f"{prefix}_{number:04d}_{int(ill)}"
        plan.append(_Image(number, name, shenzhen, ill, draw_anatomy(rng), *shape))
    return plan


def _draw(
    folder: Path, planned: _Image, *, size: int, seed: int, bare: str | None
) -> tuple[ByteImage, ByteImage] | None:
    """Write an image, its masks and its reading; return image and merged mask if it is shown."""
    rng = np.random.default_rng([seed, 12, planned.number])
    projection = draw_projection(rng)
    phantom = render_phantom(planned.anatomy, projection, (), size, rng)
    image = _resize(phantom.image, planned, cv2.INTER_AREA)
    left, right = (
        _resize(mask, planned, cv2.INTER_NEAREST)
        for mask in lung_masks(planned.anatomy, projection, size)
    )
    _write_png(folder / "CXR_png" / f"{planned.image_id}.png", image)
    shown = planned.number <= _SHOWN  # numbers begin with 1
    if planned.image_id == bare:
        return (image, np.zeros_like(left)) if shown else None
    if planned.shenzhen:
        _write_png(folder / "mask" / f"{planned.image_id}_mask.png", (left | right) * 255)
    else:
        # Left and right are the patient's, who faces us.
        _write_png(folder / "ManualMask" / "leftMask" / f"{planned.image_id}.png", right * 255)
        _write_png(folder / "ManualMask" / "rightMask" / f"{planned.image_id}.png", left * 255)
    sex, age = planned.anatomy.sex, planned.anatomy.age
    finding = "tuberculosis" if planned.ill else "normal"
    write_text(
        folder / "ClinicalReadings" / f"{planned.image_id}.txt",
        f"Patient's Sex: {sex}\nPatient's Age: {age:03d}Y\n{finding}\n",
    )
    return (image, left | right) if shown else None


def _resize(field: ByteImage, planned: _Image, interpolation: int) -> ByteImage:
    return np.asarray(
        cv2.resize(field, (planned.width, planned.height), interpolation=interpolation)
    )


def _write_png(path: Path, pixels: ByteImage) -> None:
    write_bytes(path, cv2.imencode(".png", pixels)[1].tobytes())
