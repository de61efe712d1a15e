"""What the twins with run-length tables of several masks or objects an image have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.rle import encode, get_dialect
from goldfold.competitions.synthetic.contact_sheet import write_contact_sheet
from goldfold.competitions.synthetic.twin import Order

ByteImage = NDArray[np.uint8]

SHEET_FILE = "contact-sheet.png"
SOLUTION_FILE = "solution.csv"
SHOWN = 16
"""Images on a contact sheet."""
JPEG_QUALITY = 92


@dataclass(frozen=True)
class MaskReport:
    """What a synthetic competition with several masks or objects an image holds."""

    folder: Path
    train_images: int
    test_images: int
    with_mask: int
    """Training images with a mask of any class."""
    label_rows: int
    quirks: tuple[str, ...] = ()
    """What was planted, one line each."""


@dataclass(frozen=True)
class Drawn:
    """What is kept of an image once its file is written."""

    texts: tuple[str, ...]
    """Run-length encodings: one a class, "" where it has none; or one an object."""
    sample: tuple[ByteImage, ByteImage] | None = None
    """Gray image and united mask, for the contact sheet."""

    @property
    def empty(self) -> bool:
        """Whether the image has no mask at all."""
        return not any(self.texts)


def finish(
    folder: Path, order: Order, drawn: Sequence[Drawn], label_rows: int, planted: tuple[str, ...]
) -> MaskReport:
    """Write the contact sheet and return what the competition holds.

    Args:
        folder: of the competition in the making.
        order: what it is made with.
        drawn: of all images, training images first.
        label_rows: rows of the label table.
        planted: one line each.

    Raises:
        OutputError: the sheet cannot be written.
    """
    write_sheet(folder, drawn)
    with_mask = sum(not one.empty for one in drawn[: order.train])
    return MaskReport(order.folder, order.train, order.test, with_mask, label_rows, planted)


def texts_of(masks: Sequence[ByteImage], dialect: str) -> tuple[str, ...]:
    """Return the run-length encodings of (H, W) masks, "" for empty ones.

    Args:
        masks: 0 and 1.
        dialect: name of the run-length dialect.
    """
    form = get_dialect(dialect)
    return tuple(encode(mask, form) if mask.any() else "" for mask in masks)


def united(masks: Sequence[ByteImage], shape: tuple[int, int]) -> ByteImage:
    """Return the union of masks, (H, W) of 0 and 1; zeros where there are none."""
    whole = np.zeros(shape, np.uint8)
    for mask in masks:
        whole |= mask
    return whole


def hex_ids(count: int, rng: np.random.Generator, digits: int = 9) -> list[str]:
    """Return that many different ids of hexadecimal digits."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[f"{int(rng.integers(16**digits)):0{digits}x}"] = None
    return list(found)


def usage(place: int) -> str:
    """Return for which score a test image, or a test patient, counts.

    >>> [usage(0), usage(1), usage(2)]
    ['Public', 'Private', 'Public']
    """
    return ("Public", "Private")[place % 2]


def jpeg_bytes(pixels: ByteImage) -> bytes:
    """Return a JPEG of (H, W, 3) uint8 pixels in RGB order."""
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def write_sheet(folder: Path, drawn: Sequence[Drawn]) -> None:
    """Write the contact sheet of the images that are to be shown, those with a mask first.

    Raises:
        OutputError: it cannot be written.
    """
    samples = [one.sample for one in drawn if one.sample is not None]
    samples.sort(key=lambda sample: not sample[1].any())
    images, masks = [image for image, _ in samples], [mask for _, mask in samples]
    write_contact_sheet(folder / SHEET_FILE, images, masks)


def shown_places(positive: Sequence[bool]) -> set[int]:
    """Return the places of the images on the contact sheet: three quarters with a mask, if any."""
    ill = [place for place, one in enumerate(positive) if one][: SHOWN * 3 // 4]
    well = [place for place, one in enumerate(positive) if not one]
    return {*ill, *well[: SHOWN - len(ill)]}
