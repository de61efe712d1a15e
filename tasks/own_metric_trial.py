"""A metric of the user's own, called on a small example before anything is trained by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goldfold.competitions.own_metric import (
    judges_masks,
    own_class_score,
    own_image_scores,
    own_mask_score,
    own_number_score,
    takes_labels,
)
from goldfold.errors import InputError
from goldfold.own_code import is_reference

if TYPE_CHECKING:
    from goldfold.settings import CompetitionSettings


def try_own_metric(form: CompetitionSettings) -> None:
    """Call the metric on a small example where it is one of the user's own.

    Args:
        form: of the competition.

    Raises:
        InputError: it cannot be loaded, fails, or returns something else than a score.
    """
    metric = form.metric
    if not is_reference(metric):
        return
    if form.of_numbers:
        low, high = form.number_range or (0.0, len(form.classes) - 1.0)
        truth = np.linspace(low, high, len(form.classes) or 5)
        own_number_score(metric, truth, truth[::-1].copy())
    elif form.is_classification:
        count = len(form.classes)
        targets = np.eye(count, dtype=np.uint8)[np.arange(2 * count) % count]
        labels = targets[::-1].copy() if takes_labels(metric) else None
        graded = (targets + 0.5) / (count / 2 + 1)
        own_class_score(metric, targets, graded if labels is None else labels)
    elif not judges_masks(metric):
        counts = np.array([[0, 0, 0], [0, 3, 0], [0, 0, 3], [2, 3, 4], [3, 3, 3]], np.int64)
        own_image_scores(metric, *counts.T)
    elif form.is_semantic:
        raise InputError(
            f"competition.metric: {metric} takes two masks, but where each pixel has exactly one "
            "class a metric is a function of pixel counts: score(intersection, predicted, true)."
        )
    else:
        mask = np.eye(8, dtype=np.uint8)
        for true, predicted in ((mask, mask), (mask, mask * 0), (mask * 0, mask), (mask * 0,) * 2):
            own_mask_score(metric, true, predicted)
