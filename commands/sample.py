"""What a run's submission is to look like: its sample, its columns, the sizes of its images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.commands.context import Run
    from goldfold.settings import CompetitionSettings
    from goldfold.submissions.layout import Layout


def has_sample(run: Run) -> bool:
    """Return whether a submission is written like a sample; without one, a plain table of classes.

    Masks always need one.
    """
    form = run.settings.competition
    return not form.is_classification or bool(form.submission.sample)


def layout_of(competition: CompetitionSettings) -> Layout:
    """Return the columns of a competition's submission and what they hold."""
    from goldfold.competitions.rle import get_dialect
    from goldfold.submissions.layout import Layout

    form = competition.submission
    keys = (form.id_column, *([form.class_column] if form.class_column else []))
    if form.label_column is not None:
        return Layout(keys, (form.label_column,), "label", labels=tuple(competition.classes))
    return Layout(
        keys,
        tuple(form.probability_columns) or (form.rle_column,),
        "probability" if form.probability_columns else "mask",
        get_dialect(form.dialect),
        class_separator=form.class_separator,
        objects=form.objects,
    )


def sample_path(run: Run) -> Path:
    """Return the sample submission of a run's competition.

    Raises:
        InputError: there is none.
    """
    from goldfold.competitions.data_folder import require_table

    return require_table(
        run.settings.competition.data,
        run.settings.competition.submission.sample,
        "sample submission",
        "competition.submission.sample",
    )


def test_shapes(images: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Return height and width of each test image."""
    from goldfold.competitions.images_table import test_images

    test = test_images(images)
    sizes = zip(test["height"].tolist(), test["width"].tolist(), strict=True)
    return dict(zip(test["image_id"], sizes, strict=True))
