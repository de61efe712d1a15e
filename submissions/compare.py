"""Compares two submissions of masks: which images differ, and how much."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goldfold.competitions.metric import image_scores
from goldfold.competitions.rle import Dialect, area_px, intersection_px
from goldfold.errors import InputError
from goldfold.submissions.mask_file import MaskReader, read_masks


@dataclass(frozen=True)
class ImageAgreement:
    """How much two submissions agree on one image.

    Attributes:
        image_id: the image.
        dice: Dice of the two masks; 1 if both are empty, 0 if only one is.
        first_px: area of the first submission's mask in pixels.
        second_px: area of the second submission's mask in pixels.
    """

    image_id: str
    dice: float
    first_px: int
    second_px: int


@dataclass(frozen=True)
class Comparison:
    """Where two submissions agree and where they differ.

    Attributes:
        images: agreement on each shared image, lowest first; ties are sorted by area, largest
            first.
        only_first: ids that only the first file has, in its order.
        only_second: ids that only the second file has, in its order.
    """

    images: tuple[ImageAgreement, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def dice(self) -> float:
        """Return the mean agreement over the shared images."""
        return float(np.mean([image.dice for image in self.images]))

    @property
    def agreement(self) -> float:
        """Return the agreement of the two submissions, 1 if they are equal: the mean Dice."""
        return self.dice

    @property
    def agreement_by(self) -> str:
        """Return the measure of `agreement`."""
        return "Dice"

    @property
    def identical(self) -> int:
        """Return how many shared images have the same mask."""
        return sum(image.dice == 1.0 for image in self.images)

    def table(self) -> dict[str, int]:
        """Return how many common images are empty in both submissions, in one or in neither."""
        pairs = [(image.first_px == 0, image.second_px == 0) for image in self.images]
        return {
            "both_empty": pairs.count((True, True)),
            "only_first_empty": pairs.count((True, False)),
            "only_second_empty": pairs.count((False, True)),
            "neither_empty": pairs.count((False, False)),
        }

    def to_json(self, limit: int | None = None) -> dict[str, Any]:
        """Return the comparison as JSON values, with the images that differ."""
        differing = [asdict(image) for image in self.images if image.dice < 1.0]
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
        second: another submission for the same images.
        reader: reads their rows.
        dialect: run-length dialect of both files.

    Raises:
        InputError: a file cannot be read, has malformed masks or repeats an id, or the files have
            no id in common.
    """
    ours, theirs = read_masks(first, reader, dialect), read_masks(second, reader, dialect)
    shared = [image_id for image_id in ours if image_id in theirs]
    if not shared:
        raise InputError(f"{first} and {second} have no image in common. Compare their ids.")
    pairs = [(ours[image_id], theirs[image_id]) for image_id in shared]
    pixels = np.array(
        [(intersection_px(*pair), area_px(pair[0]), area_px(pair[1])) for pair in pairs]
    )
    dice = image_scores("dice", *pixels.T)
    images = [
        ImageAgreement(image_id, float(score), int(first_px), int(second_px))
        for image_id, score, (_, first_px, second_px) in zip(shared, dice, pixels, strict=True)
    ]
    images.sort(key=_lowest_first)
    return Comparison(
        tuple(images),
        tuple(image_id for image_id in ours if image_id not in theirs),
        tuple(image_id for image_id in theirs if image_id not in ours),
    )


def _lowest_first(image: ImageAgreement) -> tuple[float, int, str]:
    return image.dice, -max(image.first_px, image.second_px), image.image_id
