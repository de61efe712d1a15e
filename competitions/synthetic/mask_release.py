"""Shared by the synthetic competitions with run-length tables: report, ids, contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.rle import encode, get_dialect
from goldfold.competitions.synthetic.contact_sheet import write_contact_sheet
from goldfold.competitions.synthetic.generator import Request
from goldfold.text_table import Line

ByteImage = NDArray[np.uint8]

SHEET_FILE = "contact-sheet.png"
SOLUTION_FILE = "solution.csv"
SHOWN = 16
"""Number of images on a contact sheet."""
JPEG_QUALITY = 92


@dataclass(frozen=True)
class MaskReport:
    """The content of a synthetic competition with several masks or objects per image."""

    folder: Path
    train_images: int
    test_images: int
    with_mask: int
    """Number of training images with a non-empty mask of any class."""
    label_rows: int
    quirks: tuple[str, ...] = ()
    """The planted quirks, one line each."""

    def lines(self, size: int) -> list[Line]:
        """Return it as text to print."""
        return [
            f"{self.folder}: {self.train_images:,} training images, {self.with_mask:,} of them "
            f"with a mask, {self.test_images:,} test images, {self.label_rows:,} label rows",
            *(f"planted: {planted}" for planted in self.quirks),
        ]


@dataclass(frozen=True)
class Drawn:
    """What is kept of an image after its file is written."""

    texts: tuple[str, ...]
    """Run-length encodings: one per class ("" for an empty mask), or one per object."""
    sample: tuple[ByteImage, ByteImage] | None = None
    """Gray image and merged mask, for the contact sheet."""

    @property
    def empty(self) -> bool:
        """Whether all masks of the image are empty."""
        return not any(self.texts)


def finish(
    folder: Path,
    request: Request,
    drawn: Sequence[Drawn],
    label_rows: int,
    planted: tuple[str, ...],
) -> MaskReport:
    """Write the contact sheet and return the report.

    Args:
        folder: temporary folder of the competition.
        request: what was requested.
        drawn: all images, training images first.
        label_rows: number of rows of the label table.
        planted: the planted quirks, one line each.

    Raises:
        OutputError: the sheet cannot be written.
    """
    write_sheet(folder, drawn)
    with_mask = sum(not image.empty for image in drawn[: request.train])
    return MaskReport(request.folder, request.train, request.test, with_mask, label_rows, planted)


def texts_of(masks: Sequence[ByteImage], dialect: str) -> tuple[str, ...]:
    """Return the run-length encoding of each mask, "" for an empty one.

    Args:
        masks: (H, W) each, of 0 and 1.
        dialect: name of the run-length dialect.
    """
    form = get_dialect(dialect)
    return tuple(encode(mask, form) if mask.any() else "" for mask in masks)


def merge_masks(masks: Sequence[ByteImage], shape: tuple[int, int]) -> ByteImage:
    """Return the union of masks, (H, W) of 0 and 1; all zero without masks."""
    merged = np.zeros(shape, np.uint8)
    for mask in masks:
        merged |= mask
    return merged


def hex_ids(count: int, rng: np.random.Generator, digits: int = 9) -> list[str]:
    """Return `count` unique ids of hexadecimal digits."""
    ids: dict[str, None] = {}
    while len(ids) < count:
        ids[f"{int(rng.integers(16**digits)):0{digits}x}"] = None
    return list(ids)


def usage(place: int) -> str:
    """Return the score for which a test image, or a test patient, counts.

    >>> [usage(0), usage(1), usage(2)]
    ['Public', 'Private', 'Public']
    """
    return ("Public", "Private")[place % 2]


def jpeg_bytes(pixels: ByteImage) -> bytes:
    """Return a JPEG of (H, W, 3) uint8 pixels in RGB order."""
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def write_sheet(folder: Path, drawn: Sequence[Drawn]) -> None:
    """Write the contact sheet, images with a mask first.

    Raises:
        OutputError: it cannot be written.
    """
    samples = [image.sample for image in drawn if image.sample is not None]
    samples.sort(key=lambda sample: not sample[1].any())
    images, masks = [image for image, _ in samples], [mask for _, mask in samples]
    write_contact_sheet(folder / SHEET_FILE, images, masks)


def shown_places(positive: Sequence[bool]) -> set[int]:
    """Return the indices of the images on the contact sheet, up to three quarters with a mask."""
    ill = [place for place, has_mask in enumerate(positive) if has_mask][: SHOWN * 3 // 4]
    well = [place for place, has_mask in enumerate(positive) if not has_mask]
    return {*ill, *well[: SHOWN - len(ill)]}
