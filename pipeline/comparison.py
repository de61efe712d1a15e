"""Where two submissions differ, of masks or of classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.pipeline.submission_form import find_form
from goldfold.tasks.registry import task_of

if TYPE_CHECKING:
    from goldfold.tasks.results import ComparedSubmissions
    from goldfold.tasks.task import Task


def compare_files(
    first: Path, second: Path, competition: str | None
) -> tuple[Task, ComparedSubmissions]:
    """Return the task of two submissions, and where they differ.

    Args:
        first: a submission.
        second: another for the same images.
        competition: name of a preset, or a run directory; None = told by the header.

    Raises:
        InputError: a file is malformed, or it is not clear which competition they are for.
    """
    form, shapes = find_form(first, competition)
    task = task_of(form)
    return task, task.compare(first, second, shapes)
