"""Which task a competition is: the one place that asks."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from goldfold.settings import CompetitionSettings
    from goldfold.tasks.image_decision import ImageDecision
    from goldfold.tasks.task import Task
    from goldfold.vocabulary import TaskName


class _Home(NamedTuple):
    """Module and class of a task, and of its decision on single images."""

    task: tuple[str, str]
    images: tuple[str, str]


_HOMES = {
    "segmentation": _Home(("masks", "Masks"), ("mask_images", "MaskImages")),
    "classification": _Home(("classes", "Classes"), ("class_images", "ClassImages")),
    "grades": _Home(("grades", "Numbers"), ("grade_images", "NumberImages")),
    "semantic-segmentation": _Home(("semantic", "Semantic"), ("semantic_images", "SemanticImages")),
    "regression": _Home(("grades", "Numbers"), ("grade_images", "NumberImages")),
}
"""By value of competition.task."""


def task_of(form: CompetitionSettings) -> Task:
    """Return the task of a competition."""
    task: Task = _load(_HOMES[form.task].task)(form)
    return task


def read_decision(
    task: TaskName, content: Mapping[str, Any], source: Path, remedy: str
) -> ImageDecision:
    """Return the decision that a model.json holds.

    Args:
        task: value of competition.task.
        content: of the field `decision`.
        source: the file, for messages.
        remedy: what to do about a bad file.

    Raises:
        InputError: the content does not follow the form of the task.
    """
    decision: ImageDecision = _load(_HOMES[task].images).read(content, source, remedy)
    return decision


def _load(home: tuple[str, str]) -> Any:
    module, name = home
    return getattr(import_module(f"goldfold.tasks.{module}"), name)
