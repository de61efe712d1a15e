"""The sample submission of a run's competition: where it is, and whether it fits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.competitions.data_folder import find_table, require_table
from goldfold.errors import InputError
from goldfold.submissions.table import read_sample
from goldfold.tasks.submission_layout import layout_of, unknown_classes

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun


def sample_path(run: OpenRun) -> Path:
    """Return the sample submission of a run's competition.

    Raises:
        InputError: there is none.
    """
    return require_table(
        run.settings.competition.data,
        run.settings.competition.submission.sample,
        "sample submission",
        "competition.submission.sample",
    )


def sample_problems(run: OpenRun) -> list[str]:
    """Return why no submission could be written like the sample, before anything is trained."""
    form = run.settings.competition
    path = find_table(form.data, form.submission.sample)
    # Without test images there is nothing to submit: hidden test sets come with a bare header.
    if path is None or not form.needs_sample or not (run.images["split"] == "test").any():
        return []
    layout = layout_of(form)
    try:
        sample = read_sample(path, layout)
    except InputError as error:
        return [str(error)]
    if layout.content != "mask":
        return []
    problem = unknown_classes(sample.image_ids, layout, form.classes or [""])
    return [problem] if problem else []
