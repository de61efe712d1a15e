"""What a stage learns from where images have masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.competitions.images_table import mask_sizes, object_cells
from goldfold.competitions.rle import get_dialect
from goldfold.tasks.mask_held_out import encoded_masks, ignored_masks

if TYPE_CHECKING:
    from goldfold.settings import CompetitionSettings
    from goldfold.tasks.results import Lessons
    from goldfold.training.fold_run import FoldData


def mask_fold_data(form: CompetitionSettings, lessons: Lessons) -> FoldData:
    """Return images to learn from, and held-out ones with their masks at original size."""
    from goldfold.training.fold_run import FoldData
    from goldfold.training.validation import ValidationImages

    cache = lessons.cache
    held_out = lessons.train.loc[list(lessons.held_out)]
    validation = ValidationImages(
        rows=cache.rows(lessons.held_out),
        sizes=mask_sizes(held_out, form.mask_size),
        masks=[text for texts in encoded_masks(form, held_out) for text in texts],
        dialect=get_dialect(form.labels.dialect),
        classes=form.outputs,
        objects=object_cells(held_out),
        ignored=ignored_masks(form, held_out),
    )
    return FoldData(
        cache=cache,
        rows=cache.rows(lessons.inside),
        non_empty=(lessons.train.loc[list(lessons.inside), "area_px"] > 0).to_numpy(),
        validation=validation,
        metric=form.metric,
        weights=lessons.weights,
        pseudo=lessons.pseudo,
        mirror=form.mirror,
    )
