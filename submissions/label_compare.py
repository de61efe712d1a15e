"""Two submissions of classes side by side: where they differ, and how much they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.label_metric import decide, scored_classes
from goldfold.errors import InputError
from goldfold.submissions.label_file import read_label_file, require_every_class
from goldfold.submissions.layout import Layout
from goldfold.submissions.table import read_table

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]
By = Literal["equal labels", "rank correlation", "1 - mean difference"]

NAMED = "predicted"
"""Column of the named classes in a table that goldfold wrote without a sample submission."""


@dataclass(frozen=True)
class LabelAgreement:
    """How far two submissions differ on one image.

    Attributes:
        image_id: the image.
        difference: mean absolute difference of the probabilities over the classes.
        most_different: the class of the largest difference.
        first: its probability in the first submission.
        second: in the second.
        same_label: whether both name the same classes.
    """

    image_id: str
    difference: float
    most_different: str
    first: float
    second: float
    same_label: bool


@dataclass(frozen=True)
class ClassAgreement:
    """How far two submissions differ on one class.

    Attributes:
        name: of the class.
        difference: mean absolute difference of its probabilities over the images.
        rank_correlation: Spearman's; None where one submission says the same of every image.
        named_first: images that the first submission names it of.
        named_second: that the second does.
        named_both: that both do.
    """

    name: str
    difference: float
    rank_correlation: float | None
    named_first: int
    named_second: int
    named_both: int


@dataclass(frozen=True)
class LabelComparison:
    """What two submissions of classes share and where they differ.

    Attributes:
        images: of each shared image, the most different first.
        classes: of each class.
        agreement: of both as the metric sees it, 1 for equal ones.
        agreement_by: what it is: for accuracy and F1, and where labels are submitted, the share of
            images with equal labels; for AUROC the mean rank correlation over the classes; for the
            logarithmic loss 1 minus the mean difference.
        labels_from: whether the files name the classes, or probabilities were cut at one half.
        only_first: ids that only the first file has, in its order.
        only_second: ids that only the second file has.
    """

    images: tuple[LabelAgreement, ...]
    classes: tuple[ClassAgreement, ...]
    agreement: float
    agreement_by: By
    labels_from: Literal["the files", "one half"]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def difference(self) -> float:
        """Return the mean absolute difference over images and classes."""
        return float(np.mean([one.difference for one in self.images]))

    @property
    def same_labels(self) -> float:
        """Return the share of shared images with the same labels."""
        return float(np.mean([one.same_label for one in self.images]))

    @property
    def identical(self) -> int:
        """Return how many shared images are the same in both."""
        return sum(one.difference == 0 and one.same_label for one in self.images)

    def to_json(self, limit: int | None = None) -> dict[str, Any]:
        """Return the comparison as JSON values, with the images that differ."""
        differing = [asdict(one) for one in self.images if one.difference or not one.same_label]
        return {
            "agreement": self.agreement,
            "agreement_by": self.agreement_by,
            "mean_difference": self.difference,
            "same_labels": self.same_labels,
            "labels_from": self.labels_from,
            "shared_images": len(self.images),
            "identical": self.identical,
            "classes": [asdict(one) for one in self.classes],
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "differing": differing[:limit],
        }


def compare_labels(
    first: Path,
    second: Path,
    *,
    layout: Layout,
    classes: Sequence[str],
    exclusive: bool,
    metric: str,
) -> LabelComparison:
    """Return where two submissions of classes differ.

    Args:
        first: a submission.
        second: another for the same images.
        layout: of both.
        classes: C names.
        exclusive: exactly one class an image.
        metric: name of a metric of classes, which says how agreement is counted.

    Raises:
        InputError: a file is malformed, lacks rows, or they share no image.
    """
    files = (first, second)
    tables = [read_label_file(path, layout, classes) for path in files]
    shared = [image_id for image_id in tables[0] if image_id in tables[1]]
    if not shared:
        raise InputError(f"{first} and {second} have no image in common. Compare their ids.")
    both = [np.stack([table[image_id] for image_id in shared]) for table in tables]
    for path, numbers in zip(files, both, strict=True):
        require_every_class(path, numbers, classes)
    named = None if layout.content == "label" else _named(files, layout, shared, classes)
    flags = named or [decide(numbers, exclusive) for numbers in both]
    of_classes = tuple(
        _of_class(name, [one[:, place] for one in both], [one[:, place] for one in flags])
        for place, name in enumerate(classes)
    )
    of_images = _of_images(shared, classes, both, flags)
    told: Literal["the files", "one half"] = (
        "the files" if named or layout.content == "label" else "one half"
    )
    by = _by(metric, layout)
    places = scored_classes(len(classes), exclusive)
    return LabelComparison(
        images=of_images,
        classes=of_classes,
        agreement=_agreement(by, of_images, [of_classes[place] for place in places]),
        agreement_by=by,
        labels_from=told,
        only_first=tuple(image_id for image_id in tables[0] if image_id not in tables[1]),
        only_second=tuple(image_id for image_id in tables[1] if image_id not in tables[0]),
    )


def _named(
    files: Sequence[Path], layout: Layout, shared: Sequence[str], classes: Sequence[str]
) -> list[Flags] | None:
    """Return which classes each file names, (N, C); None unless both have a column for that."""
    found = []
    for path in files:
        table = read_table(path)
        place = table.column(NAMED)
        if place is None or len(layout.key_columns) > 1 or layout.class_separator:
            return None
        keys = [table.require(name) for name in layout.key_columns]
        cells = {row.key(keys): row.cells[place].split(";") for row in table.rows}
        found.append(np.array([[name in cells[one] for name in classes] for one in shared], bool))
    return found


def _of_class(name: str, both: Sequence[FloatArray], flags: Sequence[Flags]) -> ClassAgreement:
    """Return how two submissions' probabilities (N,) and answers (N,) of a class agree."""
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
) -> tuple[LabelAgreement, ...]:
    """Return the images, the most different first; of equals, those of other labels first."""
    gap = np.abs(both[0] - both[1])
    same = (flags[0] == flags[1]).all(axis=1)
    worst = gap.argmax(axis=1)
    images = [
        LabelAgreement(
            image_id,
            float(gap[row].mean()),
            classes[worst[row]],
            float(both[0][row, worst[row]]),
            float(both[1][row, worst[row]]),
            bool(same[row]),
        )
        for row, image_id in enumerate(shared)
    ]
    return tuple(sorted(images, key=lambda one: (-one.difference, one.same_label, one.image_id)))


def _by(metric: str, layout: Layout) -> By:
    if layout.content == "label" or metric in ("accuracy", "f1"):
        return "equal labels"
    return "rank correlation" if metric == "auroc" else "1 - mean difference"


def _agreement(
    by: By, images: Sequence[LabelAgreement], classes: Sequence[ClassAgreement]
) -> float:
    if by == "equal labels":
        return float(np.mean([one.same_label for one in images]))
    difference = float(np.mean([one.difference for one in images]))
    if by == "1 - mean difference":
        return 1 - difference
    known = [one.rank_correlation for one in classes if one.rank_correlation is not None]
    return float(np.mean(known)) if known else float(difference == 0)
