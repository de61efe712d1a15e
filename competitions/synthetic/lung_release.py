"""A synthetic twin of the Montgomery and Shenzhen sets: X-rays with lung masks as PNG files."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.synthetic.anatomy import Anatomy, draw_anatomy
from goldfold.competitions.synthetic.contact_sheet import write_contact_sheet
from goldfold.competitions.synthetic.folder import (
    draw_all,
    known_report,
    write_report,
)
from goldfold.competitions.synthetic.phantom import lung_masks, render_phantom
from goldfold.competitions.synthetic.projection import draw_projection
from goldfold.errors import InputError
from goldfold.files import whole_folder, write_bytes, write_text
from goldfold.progress import SILENT, Progress

ByteImage = NDArray[np.uint8]

_VERSION = 1  # to be raised whenever the same seed gives other bytes
_SHORT_SIDE = 4020 / 4892  # of Montgomery's images, lying or standing
_SHENZHEN = 0.2  # share of the images with quirks that have the other set's names and masks
_SHOWN = 8


@dataclass(frozen=True)
class LungReport:
    """What a synthetic set of lungs holds."""

    folder: Path
    images: int
    mask_files: int
    unlabelled: tuple[str, ...] = ()
    """Images without a mask (quirk)."""
    imageless: tuple[str, ...] = ()
    """Masks without an image (quirk)."""


@dataclass(frozen=True)
class _Image:
    """An image to be drawn."""

    number: int
    image_id: str
    shenzhen: bool
    ill: bool
    anatomy: Anatomy
    height: int
    width: int


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
    """Return what was written: X-rays and lung masks in Montgomery's layout, from a seed.

    Args:
        folder: where it goes; must not exist, or be empty, or hold the same set.
        images: how many.
        size: longer side in pixels; the shorter one is as in Montgomery, lying or standing.
        seed: decides everything.
        quirks: a fifth of the images with Shenzhen's names and single masks, one of them without
            a mask, and a mask whose image is missing.
        progress: told of each image.
        workers: threads; None = the number of processor cores. They do not change the result.

    Raises:
        InputError: an argument is out of its range or the folder holds something else.
        OutputError: the folder cannot be written.
    """
    if not 4 <= images <= 9999 or not 64 <= size <= 8192 or seed < 0:
        raise InputError(
            f"expected 4 to 9,999 images of 64 to 8,192 pixels and a seed of 0 or more, found "
            f"{images}, {size} and {seed}."
        )
    order: dict[str, Any] = {"kind": "lungs", "images": images, "size": size, "seed": seed}
    order |= {"quirks": quirks, "version": _VERSION}
    if (there := known_report(folder, order, progress)) is not None:
        return LungReport(folder=folder, **there)
    plan = _plan(images, size, seed, quirks)
    bare = next((one.image_id for one in plan if one.shenzhen), None)
    lost = "CHNCXR_9999_0" if quirks else None
    with whole_folder(folder) as partial:
        draw = functools.partial(_draw, partial, size=size, seed=seed, bare=bare)
        drawn = draw_all(draw, plan, workers, progress)
        samples = [one for one in drawn if one is not None]
        if lost is not None:
            _write_png(partial / "mask" / f"{lost}_mask.png", samples[0][1] * 255)
        write_contact_sheet(
            partial / "contact-sheet.png", [one for one, _ in samples], [one for _, one in samples]
        )
        files = len([path for path in partial.rglob("*.png") if "ask" in path.parent.name])
        report = LungReport(folder, images, files, (bare,) if bare else (), (lost,) if lost else ())
        write_report(partial, order, report)
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
        if shenzhen:  # of nearly every size there
            shape = (size - int(rng.integers(size // 8)), size - int(rng.integers(size // 8)))
        name = f"{prefix}_{number:04d}_{int(ill)}"
        plan.append(_Image(number, name, shenzhen, ill, draw_anatomy(rng), *shape))
    return plan


def _draw(
    folder: Path, one: _Image, *, size: int, seed: int, bare: str | None
) -> tuple[ByteImage, ByteImage] | None:
    """Write an image, its masks and its reading; return image and united mask, to be shown."""
    rng = np.random.default_rng([seed, 12, one.number])
    projection = draw_projection(rng)
    phantom = render_phantom(one.anatomy, projection, (), size, rng)
    image = _resize(phantom.image, one, cv2.INTER_AREA)
    left, right = (
        _resize(mask, one, cv2.INTER_NEAREST) for mask in lung_masks(one.anatomy, projection, size)
    )
    _write_png(folder / "CXR_png" / f"{one.image_id}.png", image)
    shown = one.number <= _SHOWN  # numbers begin with 1
    if one.image_id == bare:
        return (image, np.zeros_like(left)) if shown else None
    if one.shenzhen:
        _write_png(folder / "mask" / f"{one.image_id}_mask.png", (left | right) * 255)
    else:
        # The left lung is that of the patient, who faces us.
        _write_png(folder / "ManualMask" / "leftMask" / f"{one.image_id}.png", right * 255)
        _write_png(folder / "ManualMask" / "rightMask" / f"{one.image_id}.png", left * 255)
    sex, age = one.anatomy.sex, one.anatomy.age
    finding = "tuberculosis" if one.ill else "normal"
    write_text(
        folder / "ClinicalReadings" / f"{one.image_id}.txt",
        f"Patient's Sex: {sex}\nPatient's Age: {age:03d}Y\n{finding}\n",
    )
    return (image, left | right) if shown else None


def _resize(field: ByteImage, one: _Image, interpolation: int) -> ByteImage:
    return np.asarray(cv2.resize(field, (one.width, one.height), interpolation=interpolation))


def _write_png(path: Path, pixels: ByteImage) -> None:
    write_bytes(path, cv2.imencode(".png", pixels)[1].tobytes())
