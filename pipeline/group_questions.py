"""What settings and data leave open about the groups of a run; nothing is split before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.competitions.data_report import count_ids
from goldfold.competitions.group_columns import group_candidates, site_candidates
from goldfold.competitions.group_forms import alike
from goldfold.competitions.images_table import group_column, training_images
from goldfold.errors import InputError, did_you_mean, list_problems
from goldfold.folds.fold_view import FoldView
from goldfold.folds.group_questions import count_open, open_columns, question, unknown_values
from goldfold.pipeline.split import split_images

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.pipeline.open_run import OpenRun


def group_problems(run: OpenRun) -> tuple[list[str], list[str]]:
    """Return problems and notices about the groups: open questions, unknown values, typos.

    A group column that does not exist is left to the split, which refuses it.

    Args:
        run: the run.
    """
    train, settings = training_images(run.images), run.settings.folds
    if train.empty or settings.group not in ("none", *train.columns):
        return [], []
    problems = _misspelled(settings.not_groups, train)
    notices: list[str] = []
    if settings.group != "none":
        bad, notices = unknown_values(
            settings.group,
            list(train[settings.group]),
            declared=settings.ungrouped == "single",
        )
        problems += bad
        notices += count_ids(
            alike([str(value) for value in train[settings.group]]),
            "value",
            "values",
            f"of {settings.group} (folds.group) differ in form only and are taken for the same",
        )
    candidates = group_candidates(train)
    groups = list(group_column(train, settings.group))
    asked = open_columns(candidates, groups, settings.not_groups)
    if settings.group == "none" and not candidates:
        candidates = site_candidates(train)
        asked = open_columns(candidates, groups, settings.not_groups)
    folds = _planned_folds(run) if asked else None
    for name, finer in asked.items():
        group = count_open(name, candidates[name], finer, folds)
        problems.append(question(group, settings.not_groups))
    return problems, notices


def refuse_open_groups(run: OpenRun) -> None:
    """Raise InputError unless it is known which images belong together; say what is noticed."""
    problems, notices = group_problems(run)
    if problems:
        title = f"{run.directory.root} cannot be split before its groups are settled:"
        raise InputError(list_problems(title, problems))
    for notice in notices:
        run.progress.warn(notice)


def _misspelled(declined: list[str], train: pd.DataFrame) -> list[str]:

    columns = [str(name) for name in train.columns]
    return [
        f"folds.not_groups names {name!r}, which is not a column of images.csv."
        f"{did_you_mean(name, columns)}"
        for name in declined
        if name not in columns
    ]


def _planned_folds(run: OpenRun) -> list[int] | None:
    """Return the fold of each training image in the order of images.csv, None if none are made."""
    try:
        folds = split_images(run)
    except InputError:  # said by the split itself
        return None
    places = FoldView(folds).folds_of(list(training_images(run.images)["image_id"]))
    return [int(fold) for fold in places]
