"""The columns of a competition's submission."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from goldfold.competitions.rle import get_dialect
from goldfold.errors import list_problems
from goldfold.submissions.layout import Content, Layout

if TYPE_CHECKING:
    from goldfold.settings import CompetitionSettings


def layout_of(competition: CompetitionSettings) -> Layout:
    """Return the columns of a competition's submission and what they hold."""
    form = competition.submission
    keys = (form.id_column, *([form.class_column] if form.class_column else []))
    if form.label_column is not None:
        content: Content = "label" if competition.number_range is None else "number"
        return Layout(keys, (form.label_column,), content, labels=tuple(competition.classes))
    return Layout(
        keys,
        tuple(form.probability_columns) or (form.rle_column,),
        "probability" if form.probability_columns else "mask",
        get_dialect(form.dialect),
        class_separator=form.class_separator,
        objects=form.objects,
    )


def unknown_classes(keys: Sequence[str], layout: Layout, classes: Collection[str]) -> str:
    """Return what is wrong with rows of a sample that are of no known class, "" if all are of one.

    Args:
        keys: of the rows.
        layout: how they name images and classes.
        classes: names of the classes; "" where an image has one mask.
    """
    unknown = [key for key in keys if layout.class_of(key) not in classes]
    if not unknown:
        return ""
    names = ", ".join(name for name in classes if name) or "none"
    return list_problems(
        f"{len(unknown)} of {len(keys)} rows of the sample submission are of no class of the "
        f"competition ({names}):",
        unknown,
        "Set competition.classes, and submission.class_separator or class_column, as the sample "
        "has them.",
        limit=5,
    )
