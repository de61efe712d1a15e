"""The user's own code that a stage calls, tried before any image is decoded."""

from __future__ import annotations

from collections.abc import Iterable

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
from goldfold.own_code import is_reference, resolve
from goldfold.settings import CompetitionSettings, StageSettings
from goldfold.settings_augmentation import recipe_of
from goldfold.training.augmentation.own_step import STEP
from goldfold.training.losses.own import LOSS
from goldfold.training.sampler import SCHEDULE


def load_own_objects(stages: Iterable[StageSettings], form: CompetitionSettings) -> None:
    """Load the user's own losses, schedules, steps and metric; networks are built elsewhere.

    Args:
        stages: that are to be trained.
        form: of the competition, whose metric validates them.

    Raises:
        InputError: a module cannot be run, an object does not take its arguments, or the metric
            fails on a small example.
    """
    if is_reference(form.metric):
        try_own_metric(form)
    for stage in stages:
        for reference in stage.loss.own:
            resolve(reference, LOSS)
        if is_reference(stage.sampling.schedule):
            resolve(stage.sampling.schedule, SCHEDULE)
        for reference in recipe_of(stage.augmentation).steps:
            resolve(reference, STEP)


def try_own_metric(form: CompetitionSettings) -> None:
    """Call a metric of the user's own on a small example, before anything is trained by it.

    Args:
        form: of the competition.

    Raises:
        InputError: it cannot be loaded, fails, or returns something else than a score.
    """
    metric = form.metric
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
