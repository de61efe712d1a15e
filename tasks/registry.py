"""Which task a competition is: the one place that asks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldfold.settings import CompetitionSettings
    from goldfold.tasks.task import Task

_HOMES = {
    "segmentation": ("masks", "Masks"),
    "classification": ("classes", "Classes"),
    "semantic-segmentation": ("semantic", "Semantic"),
}
"""Module and class of each value of competition.task."""


def task_of(form: CompetitionSettings) -> Task:
    """Return the task of a competition."""
    module, name = _HOMES[form.task]
    task: Task = getattr(import_module(f"goldfold.tasks.{module}"), name)(form)
    return task
