"""The decoded images of a run at a size, with their masks or without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from goldfold.competitions.images_table import CONTENT, mask_sizes, test_images, training_images
from goldfold.competitions.rle import get_dialect
from goldfold.errors import InputError
from goldfold.pipeline.sequences import with_neighbours

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.image_size import SizeLike
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.settings import ModelSettings
    from goldfold.training.cache import ImageCache


def training_cache(run: OpenRun, size: SizeLike, model: ModelSettings) -> ImageCache:
    """Return the cache of all labelled training images, as a model sees them.

    Raises:
        InputError: some of them have no image file, or it is not clear which are neighbours.
    """
    train = training_images(run.images)
    bare = train[train["path"] == ""]
    if len(bare):
        raise InputError(
            f"{len(bare):,} of {len(train):,} training images have no image file (the first: "
            f'{bare["image_id"].iloc[0]}). Download them, or set competition.imageless = "drop".'
        )
    return _built(run, "train", train, run.task.cached_masks(train), size, model)


def unlabelled_cache(run: OpenRun, size: SizeLike, model: ModelSettings) -> ImageCache:
    """Return the cache of all test images, as a model sees them.

    Raises:
        InputError: it is not clear which are neighbours.
    """
    return _built(run, "test", test_images(run.images), None, size, model)


def _built(
    run: OpenRun,
    split: str,
    table: pd.DataFrame,
    masks: Sequence[tuple[str, ...]] | None,
    size: SizeLike,
    model: ModelSettings,
) -> ImageCache:
    """Return the cache of the images of a table, with their masks or without labels."""
    from goldfold.competitions.image import reading_of
    from goldfold.training.cache import build_cache

    form = run.settings.competition
    cache = build_cache(
        run.directory.cache,
        split,
        image_ids=list(table["image_id"]),
        paths=[form.data / path for path in table["path"]],
        contents=list(table[CONTENT]),
        sizes=mask_sizes(table, None),
        mask_size=form.mask_size,
        masks=masks,
        dialect=None if masks is None else get_dialect(form.labels.dialect),
        size=size,
        channels=model.channels,
        numbers=() if masks is None else run.task.mask_numbers,
        ignores=masks is not None and form.masks_ignored,
        reading=reading_of(form.images),
        workers=run.workers,
        progress=run.progress,
    )
    return with_neighbours(run, cache, table, model.neighbours)
