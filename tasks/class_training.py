"""What a stage learns from where images have classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.competitions.class_labels import label_targets, share_targets
from goldfold.competitions.class_metric import class_weight_list
from goldfold.competitions.images_table import CLASSES, SHARES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.settings import CompetitionSettings, Loss
    from goldfold.tasks.results import Lessons
    from goldfold.training.fold_run import FoldData


def class_targets(form: CompetitionSettings, train: pd.DataFrame) -> NDArray[np.uint8]:
    """Return the classes of images as 0 and 1, (N, C)."""
    return label_targets(train[CLASSES].tolist(), form.classes)


def taught_targets(
    form: CompetitionSettings, train: pd.DataFrame
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Return what networks are taught, (N, C): classes as 0 and 1, or shares where there are."""
    if SHARES in train.columns:
        return share_targets(train[SHARES].tolist(), len(form.classes))
    return class_targets(form, train)


def class_flags(form: CompetitionSettings, targets: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which images have a class, (N,); of exclusive ones the first means none.

    Args:
        form: of the competition.
        targets: (N, C).
    """
    import numpy as np

    return np.asarray((targets[:, 1:] if form.exclusive else targets).any(axis=1), dtype=bool)


def class_fold_data(form: CompetitionSettings, lessons: Lessons) -> FoldData:
    """Return images to learn from, and held-out ones with their classes."""
    from goldfold.training.class_validation import LabelledImages
    from goldfold.training.fold_run import FoldData

    cache = lessons.cache
    targets = class_targets(form, lessons.train.loc[list(lessons.inside)])
    return FoldData(
        cache=cache,
        rows=cache.rows(lessons.inside),
        non_empty=class_flags(form, targets),
        validation=LabelledImages(
            rows=cache.rows(lessons.held_out),
            targets=class_targets(form, lessons.train.loc[list(lessons.held_out)]),
            exclusive=form.exclusive,
            class_weights=class_weight_list(form.classes, form.metric_weights),
        ),
        metric=form.metric,
        weights=lessons.weights,
        pseudo=lessons.pseudo,
        labels=taught_targets(form, lessons.train.loc[list(lessons.inside)]),
        class_weights=loss_weights(lessons.stage.loss, form, targets),
    )


def loss_weights(
    loss: Loss, form: CompetitionSettings, targets: NDArray[np.uint8]
) -> tuple[float, ...] | None:
    """Return the weight of each class in the loss, None where all are 1.

    `balanced` weighs a class by the images divided by classes and its own images.

    Args:
        loss: of a stage.
        form: with the classes.
        targets: (N, C) of the images to learn from.
    """
    if loss.class_weights == "balanced":
        counts = targets.sum(axis=0).clip(min=1)
        return tuple((len(targets) / (len(form.classes) * counts)).tolist())
    if not loss.class_weights:
        return None
    return tuple(class_weight_list(form.classes, loss.class_weights))
