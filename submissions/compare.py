"""Two submissions side by side: which images differ, how much, and which are empty in one only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goldfold.competitions.metric import image_scores
from goldfold.competitions.rle import Dialect, area_px, intersection_px
from goldfold.errors import InputError
from goldfold.submissions.masks import MaskReader, read_masks


@dataclass(frozen=True)
class ImageAgreement:
    """How much two submissions agree on one image.

    Attributes:
        image_id: the image.
        dice: 1 where both masks are the same, or both empty; 0 where only one is empty.
        first_px: pixels of the first submission's mask.
        second_px: of the second's.
    """

    image_id: str
    dice: float
    first_px: int
    second_px: int


@dataclass(frozen=True)
class Comparison:
    """What two submissions share and where they differ.

    Attributes:
        images: agreement on each shared image, the least first; of equals, the larger masks first.
        only_first: ids that only the first file has, in its order.
        only_second: ids that only the second file has.
    """

    images: tuple[ImageAgreement, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def dice(self) -> float:
        """Return the mean agreement over the shared images."""
        return float(np.mean([one.dice for one in self.images]))

    @property
    def agreement(self) -> float:
        """Return how much both agree, 1 for equal ones: the mean Dice."""
        return self.dice

    @property
    def agreement_by(self) -> str:
        """Return what `agreement` is."""
        return "Dice"

    @property
    def identical(self) -> int:
        """Return how many shared images have the same mask."""
        return sum(one.dice == 1.0 for one in self.images)

    def table(self) -> dict[str, int]:
        """Return how many shared images are empty in both, in one, in neither."""
        pairs = [(one.first_px == 0, one.second_px == 0) for one in self.images]
        return {
            "both_empty": pairs.count((True, True)),
            "only_first_empty": pairs.count((True, False)),
            "only_second_empty": pairs.count((False, True)),
            "neither_empty": pairs.count((False, False)),
        }

    def to_json(self, limit: int | None = None) -> dict[str, Any]:
        """Return the comparison as JSON values, with the images that differ."""
        differing = [asdict(one) for one in self.images if one.dice < 1.0]
        return {
            "dice": self.dice,
            "shared_images": len(self.images),
            "identical": self.identical,
            "empty": self.table(),
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "differing": differing[:limit],
        }


def compare_submissions(
    first: Path, second: Path, reader: MaskReader, dialect: Dialect
) -> Comparison:
    """Return where two submissions differ; masks are compared as runs.

    Args:
        first: a submission.
        second: another for the same images.
        reader: of their rows.
        dialect: how both are written.

    Raises:
        InputError: a file cannot be read, has malformed masks or repeats an id, or they share none.
    """
    ours, theirs = read_masks(first, reader, dialect), read_masks(second, reader, dialect)
    shared = [image_id for image_id in ours if image_id in theirs]
    if not shared:
        raise InputError(f"{first} and {second} have no image in common. Compare their ids.")
    pixels = np.array(
        [
            (intersection_px(ours[one], theirs[one]), area_px(ours[one]), area_px(theirs[one]))
            for one in shared
        ]
    )
    dice = image_scores("dice", *pixels.T)
    images = [
        ImageAgreement(name, float(one), int(row[1]), int(row[2]))
        for name, one, row in zip(shared, dice, pixels, strict=True)
    ]
    images.sort(key=lambda one: (one.dice, -max(one.first_px, one.second_px), one.image_id))
    return Comparison(
        tuple(images),
        tuple(image_id for image_id in ours if image_id not in theirs),
        tuple(image_id for image_id in theirs if image_id not in ours),
    )
