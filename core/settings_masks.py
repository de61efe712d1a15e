"""Whether the masks of each class can be found, and told from those of other classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.settings_semantic import IGNORED
from goldfold.settings_values import class_values_problem

if TYPE_CHECKING:
    from goldfold.settings_competition import CompetitionSettings

MOST_MASKS = 8
"""The most masks that an image may have: the image cache keeps a bit for each."""


def check_separators(form: CompetitionSettings) -> None:
    """Raise ValueError where image and class are joined by what a class's name contains."""
    labels, submission = form.labels, form.submission
    in_labels = labels.kind == "long" or (labels.kind == "rle" and bool(form.mask_classes))
    joints = [
        ("labels", labels.class_separator if in_labels and not labels.class_column else ""),
        ("submission", submission.class_separator),
    ]
    for table, joint in joints:
        if joint and (bad := [name for name in form.classes if joint in name]):
            raise ValueError(
                f"class {bad[0]!r} contains {joint!r}, which separates image and class in "
                f"{table}.id_column; set {table}.class_column, or rename the class"
            )


def check_masks(form: CompetitionSettings) -> None:
    """Raise ValueError unless the masks of each class can be found."""
    if form.is_classification and (form.labels.size or form.submission.size):
        raise ValueError("labels.size and submission.size are sizes of masks")
    named, classes = form.labels.class_masks, form.mask_classes
    if len(set(classes)) != len(classes):
        raise ValueError("classes names a class twice")
    paired = [name for pair in form.mirrored for name in pair]
    if strange := [name for name in paired if name not in classes]:
        raise ValueError(f"mirrored names {strange[0]!r}, which is no class of masks")
    if len(set(paired)) != len(paired):
        raise ValueError("mirrored names a class twice")
    if named and set(named) != set(classes):
        raise ValueError(
            f"labels.class_masks names {', '.join(named)}; classes are "
            f"{', '.join(classes) or 'none'}"
        )
    if problem := class_values_problem(form):
        raise ValueError(problem)
    if len(form.labelled_masks) > MOST_MASKS and not form.is_semantic:
        ignored = ", and ignored pixels count as one" if form.labels.ignored_values else ""
        raise ValueError(
            f"an image may have {MOST_MASKS} masks{ignored}, found {len(classes)} classes. "
            'Where each pixel has exactly one class, set task = "semantic-segmentation"'
        )
    if form.labels.ignored_values and IGNORED in classes:
        raise ValueError(f'with labels.ignored_values no class may be called "{IGNORED}"')
