"""The columns of a competition's submission."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.competitions.rle import get_dialect
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
