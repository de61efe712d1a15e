"""Sequences of neighbouring images lie in one fold: a model sees an image with its neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from goldfold.errors import LeakInputError, list_problems
from goldfold.folds.fold_view import FoldView


def refuse_split_sequences(
    view: FoldView,
    sequences: Mapping[tuple[str, ...], Sequence[str]],
    columns: Sequence[str],
) -> None:
    """Accept folds of which each holds whole sequences.

    Else a training sample would contain pixels of an image that its fold holds out.

    Args:
        view: the folds.
        sequences: values of the columns -> ids of the images that have them.
        columns: of images.csv that tell sequences apart.

    Raises:
        LeakInputError: a sequence lies in several folds; each is named with its folds.
    """
    problems = []
    for group, image_ids in sequences.items():
        folds = sorted({int(fold) for fold in view.folds_of(image_ids)})
        if len(folds) > 1:
            places = ", ".join(map(str, folds))
            problems.append(
                f"sequence {' '.join(group)}: {len(image_ids):,} images in folds {places}"
            )
    if problems:
        raise LeakInputError(
            list_problems(
                "neighbouring images lie in several folds, so that a model would be shown pixels "
                "of images that it is judged on:",
                problems,
                "Set folds.group to a column of images.csv that keeps sequences whole, such as "
                f"{columns[0]}, and build the folds again with `goldfold folds build`.",
            )
        )
