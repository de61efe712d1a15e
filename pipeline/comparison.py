"""Where two submissions differ, of masks or of classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldfold.submissions.compare import Comparison
    from goldfold.submissions.label_compare import LabelComparison


def compare_files(
    first: Path, second: Path, competition: str | None
) -> Comparison | LabelComparison:
    """Return where two submissions differ.

    Raises:
        InputError: a file is malformed, or it is not clear which competition they are for.
    """
    from goldfold.competitions.rle import get_dialect
    from goldfold.pipeline.submission_form import find_form, label_layout
    from goldfold.submissions.compare import compare_submissions
    from goldfold.submissions.label_compare import compare_labels
    from goldfold.submissions.masks import MaskReader

    form, shapes = find_form(first, competition)
    if form.is_classification:
        return compare_labels(
            first,
            second,
            layout=label_layout(form),
            classes=form.classes,
            exclusive=form.exclusive,
            metric=form.metric,
        )
    told = form.submission
    reader = MaskReader(
        told.id_column,
        told.rle_column,
        form.images.shape,
        shapes,
        told.objects,
        told.class_column,
        told.class_separator,
    )
    return compare_submissions(first, second, reader, get_dialect(told.dialect))
