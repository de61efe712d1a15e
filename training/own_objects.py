"""The user's own code that a stage calls, tried before any image is decoded."""

from __future__ import annotations

from collections.abc import Iterable

from goldfold.own_code import is_reference, resolve
from goldfold.settings import StageSettings
from goldfold.settings_augmentation import recipe_of
from goldfold.training.augmentation.own_step import STEP
from goldfold.training.losses.own import LOSS
from goldfold.training.sampler import SCHEDULE


def load_own_objects(stages: Iterable[StageSettings]) -> None:
    """Load the user's own losses, schedules and steps; networks and metrics are tried elsewhere.

    Args:
        stages: that are to be trained.

    Raises:
        InputError: a module cannot be run, or an object does not take its arguments.
    """
    for stage in stages:
        for reference in stage.loss.own:
            resolve(reference, LOSS)
        if is_reference(stage.sampling.schedule):
            resolve(stage.sampling.schedule, SCHEDULE)
        for reference in recipe_of(stage.augmentation).steps:
            resolve(reference, STEP)
