"""Compares two submissions of classes: where they differ, and how much they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.class_metric import decide, scored_classes
from goldfold.competitions.class_metric_table import class_kind
from goldfold.errors import InputError
from goldfold.submissions.class_file import read_class_file, require_every_class
from goldfold.submissions.layout import Layout
from goldfold.submissions.table import read_table

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]
By = Literal["equal labels", "rank correlation", "1 - mean difference"]

NAMED = "predicted"
"""Column with the predicted classes in a table that goldfold wrote without a sample submission."""


@dataclass(frozen=True)
class ImageAgreement:
    """How much two submissions differ on one image.

    Attributes:
        image_id: the image.
        difference: mean absolute difference of the probabilities over the classes.
        most_different: the class with the largest difference.
        first: probability of that class in the first submission.
        second: probability of that class in the second submission.
        same_label: whether both submissions predict the same classes.
    """

    image_id: str
    difference: float
    most_different: str
    first: float
    second: float
    same_label: bool


@dataclass(frozen=True)
class ClassAgreement:
    """How much two submissions differ on one class.

    Attributes:
        name: name of the class.
        difference: mean absolute difference of its probabilities over the images.
        rank_correlation: Spearman's; None if a submission has one probability for all images.
        named_first: number of images for which the first submission predicts the class.
        named_second: number of images for which the second submission predicts it.
        named_both: number of images for which both predict it.
    """

    name: str
    difference: float
    rank_correlation: float | None
    named_first: int
    named_second: int
    named_both: int


@dataclass(frozen=True)
class ClassComparison:
    """Where two submissions of classes agree and where they differ.

    Attributes:
        images: agreement on each shared image, most different first.
        classes: agreement on each class.
        agreement: agreement as the metric sees it, 1 for equal submissions.
        agreement_by: the measure of agreement. For metrics of labels such as accuracy and F1, and
            where class labels are submitted: the share of images with equal class labels. For
            AUROC and average precision: the mean rank correlation over the classes. For the
            logarithmic loss, and for metrics of your own that take probabilities: 1 minus the mean
            difference.
        labels_from: whether the files name the predicted classes, or probabilities were
            thresholded at one half.
        only_first: ids that only the first file has, in its order.
        only_second: ids that only the second file has, in its order.
    """

    images: tuple[ImageAgreement, ...]
    classes: tuple[ClassAgreement, ...]
    agreement: float
    agreement_by: By
    labels_from: Literal["the files", "one half"]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def difference(self) -> float:
        """Return the mean absolute difference over images and classes."""
        return float(np.mean([image.difference for image in self.images]))

    @property
    def same_labels(self) -> float:
        """Return the share of common images with the same class labels."""
        return float(np.mean([image.same_label for image in self.images]))

    @property
    def identical(self) -> int:
        """Return how many common images are the same in both."""
        return sum(image.difference == 0 and image.same_label for image in self.images)

    def to_json(self, limit: int | None = None) -> dict[str, Any]:
        """Return the comparison as JSON values, with the images that differ."""
        differing = [image for image in self.images if image.difference or not image.same_label]
        return {
            "agreement": self.agreement,
            "agreement_by": self.agreement_by,
            "mean_difference": self.difference,
            "same_labels": self.same_labels,
            "labels_from": self.labels_from,
            "shared_images": len(self.images),
            "identical": self.identical,
            "classes": [asdict(agreement) for agreement in self.classes],
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "differing": [asdict(image) for image in differing[:limit]],
        }


def compare_classes(
    first: Path,
    second: Path,
    *,
    layout: Layout,
    classes: Sequence[str],
    exclusive: bool,
    metric: str,
) -> ClassComparison:
    """Return where two submissions of classes differ.

    Args:
        first: a submission.
        second: another submission for the same images.
        layout: layout of both files.
        classes: names of the C classes.
        exclusive: whether each image has exactly one class.
        metric: name of the metric, which decides how agreement is measured.

    Raises:
        InputError: a file is malformed or lacks rows, or the files have no image in common.
    """
    files = (first, second)
    tables = [read_class_file(path, layout, classes) for path in files]
    shared = [image_id for image_id in tables[0] if image_id in tables[1]]
    if not shared:
        raise InputError(f"{first} and {second} have no image in common. Compare their ids.")
    both = [np.stack([table[image_id] for image_id in shared]) for table in tables]
    for path, numbers in zip(files, both, strict=True):
        require_every_class(path, numbers, classes)
    named = None if layout.content == "label" else _named(files, layout, shared, classes)
    flags = named or [decide(numbers, exclusive) for numbers in both]
    of_classes = tuple(
        _of_class(
            name,
            [probability[:, place] for probability in both],
            [predicted[:, place] for predicted in flags],
        )
        for place, name in enumerate(classes)
    )
    of_images = _of_images(shared, classes, both, flags)
    labels_from: Literal["the files", "one half"] = (
        "the files" if named or layout.content == "label" else "one half"
    )
    by = _by(metric, layout)
    places = scored_classes(len(classes), exclusive)
    return ClassComparison(
        images=of_images,
        classes=of_classes,
        agreement=_agreement(by, of_images, [of_classes[place] for place in places]),
        agreement_by=by,
        labels_from=labels_from,
        only_first=tuple(image_id for image_id in tables[0] if image_id not in tables[1]),
        only_second=tuple(image_id for image_id in tables[1] if image_id not in tables[0]),
    )


def _named(
    files: Sequence[Path], layout: Layout, shared: Sequence[str], classes: Sequence[str]
) -> list[Flags] | None:
    """Return the classes that each file names, (N, C); None unless both have such a column."""
    flags = []
    for path in files:
        table = read_table(path)
        place = table.column(NAMED)
        if place is None or len(layout.key_columns) > 1 or layout.class_separator:
            return None
        keys = [table.require(name) for name in layout.key_columns]
        cells = {row.key(keys): row.cells[place].split(";") for row in table.rows}
        rows = [[name in cells[image_id] for name in classes] for image_id in shared]
        flags.append(np.array(rows, bool))
    return flags


def _of_class(name: str, both: Sequence[FloatArray], flags: Sequence[Flags]) -> ClassAgreement:
    """Return how two submissions' probabilities (N,) and predictions (N,) of a class agree."""
    table = pd.DataFrame(dict(enumerate(both)))
    correlation = float(table.corr(method="spearman").to_numpy()[0, 1])
    return ClassAgreement(
        name,
        float(np.abs(both[0] - both[1]).mean()),
        None if np.isnan(correlation) else correlation,
        int(flags[0].sum()),
        int(flags[1].sum()),
        int((flags[0] & flags[1]).sum()),
    )


def _of_images(
    shared: Sequence[str],
    classes: Sequence[str],
    both: Sequence[FloatArray],
    flags: Sequence[Flags],
) -> tuple[ImageAgreement, ...]:
    """Return the images, most different first; ties: those with different class labels first."""
    gap = np.abs(both[0] - both[1])
    same = (flags[0] == flags[1]).all(axis=1)
    worst = gap.argmax(axis=1)
    images = [
        ImageAgreement(
            image_id,
            float(gap[row].mean()),
            classes[worst[row]],
            float(both[0][row, worst[row]]),
            float(both[1][row, worst[row]]),
            bool(same[row]),
        )
        for row, image_id in enumerate(shared)
    ]
    return tuple(sorted(images, key=_most_different_first))


def _most_different_first(image: ImageAgreement) -> tuple[float, bool, str]:
    return -image.difference, image.same_label, image.image_id


def _by(metric: str, layout: Layout) -> By:
    return "equal labels" if layout.content == "label" else class_kind(metric).agreement


def _agreement(
    by: By, images: Sequence[ImageAgreement], classes: Sequence[ClassAgreement]
) -> float:
    if by == "equal labels":
        return float(np.mean([image.same_label for image in images]))
    difference = float(np.mean([image.difference for image in images]))
    if by == "1 - mean difference":
        return 1 - difference
    correlations = [agreement.rank_correlation for agreement in classes]
    known = [correlation for correlation in correlations if correlation is not None]
    return float(np.mean(known)) if known else float(difference == 0)
