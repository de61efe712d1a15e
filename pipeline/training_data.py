"""What a stage of a fold learns from, out of the run's tables and caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.competitions.images_table import (
    group_column,
    object_cells,
    test_images,
    training_images,
)
from goldfold.errors import InputError, did_you_mean
from goldfold.files import fingerprint
from goldfold.image_size import height_and_width
from goldfold.pipeline.image_caches import training_cache, unlabelled_cache
from goldfold.pipeline.pseudo_labels import open_pseudo_labels
from goldfold.tasks.results import Lessons
from goldfold.training.sampler import sampling_weights

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.image_size import ImageSize
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.stage_runs import StageRun
    from goldfold.settings import Sampling
    from goldfold.training.cache import ImageCache
    from goldfold.training.fold_run import FoldData
    from goldfold.training.images import PseudoLabelled

    CacheKey = tuple[str, ImageSize, int, tuple[int, ...]]


def fold_data(
    run: OpenRun,
    stage_run: StageRun,
    caches: dict[CacheKey, ImageCache],
) -> FoldData:
    """Return the data of a stage.

    Args:
        run: the run.
        stage_run: the stage.
        caches: by split, size, channels and neighbours; one that is missing is built and added.

    Raises:
        InputError: images are missing, or pseudo-labels, or the column of the sampling weights.
        LeakError: the task would train on images that the fold holds out, or validate on others.
    """
    from dataclasses import replace

    train = training_images(run.images).set_index("image_id")
    fold = run.fold(stage_run.job.fold)
    inside = fold.training
    lessons = Lessons(
        cache=_cache(run, "train", stage_run, caches),
        train=train,
        inside=inside,
        held_out=fold.held_out,
        stage=stage_run.settings,
        weights=sampling_weights_of(train.loc[inside], stage_run.settings.sampling),
        pseudo=_pseudo_labelled(run, stage_run, caches),
    )
    return replace(run.task.fold_data(lessons), fold=fold)  # which checks the rows of the task


def labels_fingerprint(run: OpenRun, train: pd.DataFrame) -> str:
    """Return what changes when labels do, or what is read of the training images."""
    from goldfold.competitions.image import PLAIN, reading_of

    form = run.settings.competition
    parts: list[object] = [list(train["image_id"]), list(train["mask_rle"])]
    parts += run.task.label_facts(train)
    if (objects := object_cells(train)) is not None:
        parts.append(objects)
    if form.mask_size is not None:
        parts.append({"mask_size": list(form.mask_size)})
    if reading_of(form.images) != PLAIN:
        parts.append(str(reading_of(form.images)))
    return fingerprint(parts)


def _cache(
    run: OpenRun,
    split: str,
    stage_run: StageRun,
    caches: dict[CacheKey, ImageCache],
) -> ImageCache:

    size, model = height_and_width(stage_run.settings.image_size), stage_run.job.model
    key = (split, size, model.channels, tuple(model.neighbours))
    if key not in caches:
        build = training_cache if split == "train" else unlabelled_cache
        caches[key] = build(run, size, model)
    return caches[key]


def sampling_weights_of(train: pd.DataFrame, sampling: Sampling) -> NDArray[np.float64] | None:
    """Return how likely each image is drawn, None where all are alike."""
    column = "area_px" if sampling.weight_by == "area" else sampling.weight_by
    if sampling.weight_by == "none":
        return None
    if column not in train.columns:
        raise InputError(
            f"sampling.weight_by names the column {column!r}, which images.csv does not have; it "
            f"has {', '.join(train.columns)}.{did_you_mean(column, train.columns)}"
        )
    return sampling_weights(train[column].to_numpy(), sampling.weight_by, sampling.weight_power)


def _pseudo_labelled(
    run: OpenRun,
    stage_run: StageRun,
    caches: dict[CacheKey, ImageCache],
) -> PseudoLabelled | None:
    """Return the unlabelled images that the stage mixes in, None without."""
    from goldfold.training.images import PseudoLabelled

    wanted = stage_run.settings.pseudo_labels
    if wanted is None:
        return None
    labels = open_pseudo_labels(run, wanted.name, stage_run.job.fold, stage_run.settings.image_size)
    cache = _cache(run, "test", stage_run, caches)
    pseudo_labelled = PseudoLabelled(cache, cache.rows(labels.image_ids), labels.masks)
    _refuse_held_out_groups(run, stage_run, pseudo_labelled)
    return pseudo_labelled


def _refuse_held_out_groups(
    run: OpenRun, stage_run: StageRun, pseudo_labelled: PseudoLabelled
) -> None:
    """Raise LeakInputError if the fold holds out a group with a pseudo-labelled image."""
    test = test_images(run.images)
    groups = dict(zip(test["image_id"], group_column(test, run.settings.folds.group), strict=True))
    image_ids = pseudo_labelled.cache.ids_read(pseudo_labelled.rows)
    own = [groups[image_id] for image_id in image_ids]
    run.fold(stage_run.job.fold).refuse_groups(image_ids, own, "training on pseudo-labels")
