"""What a stage of a fold learns from, out of the run's tables and caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.extent import Extent
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.stage_runs import StageRun
    from goldfold.settings import CompetitionSettings, Loss, Sampling
    from goldfold.training.cache import ImageCache
    from goldfold.training.fold_run import FoldData
    from goldfold.training.images import PseudoLabelled


def fold_data(
    run: OpenRun,
    one: StageRun,
    caches: dict[tuple[str, Extent, int], ImageCache],
) -> FoldData:
    """Return the data of a stage.

    Args:
        run: the run.
        one: the stage.
        caches: by split, size and channels; one that is missing is built and added.

    Raises:
        InputError: images are missing, or pseudo-labels, or the column of the sampling weights.
    """
    from goldfold.competitions.images_table import object_cells, training_images
    from goldfold.competitions.rle import get_dialect
    from goldfold.pipeline.image_caches import encoded_masks
    from goldfold.training.fold_run import FoldData
    from goldfold.training.validation import ValidationImages

    cache = _cache(run, "train", one, caches)
    train = training_images(run.images).set_index("image_id")
    inside = sorted(run.folds.loc[run.folds["fold"] != one.job.fold, "image_id"])
    held_out = sorted(run.folds.loc[run.folds["fold"] == one.job.fold, "image_id"])
    form = run.settings.competition
    if form.is_classification:
        pseudo = _pseudo_labelled(run, one, caches)
        return _label_data(run, one, train, cache, inside, held_out, pseudo)
    validation = ValidationImages(
        rows=cache.rows(held_out),
        sizes=list(zip(train.loc[held_out, "height"], train.loc[held_out, "width"], strict=True)),
        masks=[text for texts in encoded_masks(form, train.loc[held_out]) for text in texts],
        dialect=get_dialect(form.labels.dialect),
        classes=form.outputs,
        objects=object_cells(train.loc[held_out]),
    )
    return FoldData(
        cache=cache,
        rows=cache.rows(inside),
        non_empty=(train.loc[inside, "area_px"] > 0).to_numpy(),
        validation=validation,
        metric=run.settings.competition.metric,
        weights=sampling_weights_of(train.loc[inside], one.settings.sampling),
        pseudo=_pseudo_labelled(run, one, caches),
        mirror=form.mirror,
    )


def labels_fingerprint(run: OpenRun, train: pd.DataFrame) -> str:
    """Return what changes when labels do, or what is read of the training images."""
    from goldfold.competitions.image import PLAIN, reading_of
    from goldfold.competitions.images_table import CLASSES, object_cells
    from goldfold.files import fingerprint
    from goldfold.pipeline.image_caches import encoded_masks

    parts: list[object] = [list(train["image_id"]), list(train["mask_rle"])]
    form = run.settings.competition
    if form.is_classification:
        parts += [list(train[CLASSES]), form.classes, form.exclusive]
    elif form.mask_classes:
        parts += [form.classes, encoded_masks(form, train), form.mirror]
    if (objects := object_cells(train)) is not None:
        parts.append(objects)
    if reading_of(form.images) != PLAIN:
        parts.append(str(reading_of(form.images)))
    return fingerprint(parts)


def _label_data(
    run: OpenRun,
    one: StageRun,
    train: pd.DataFrame,
    cache: ImageCache,
    inside: list[str],
    held_out: list[str],
    pseudo: PseudoLabelled | None,
) -> FoldData:
    """Return the data of a stage that learns classes; an image of any class is "non-empty"."""
    from goldfold.competitions.images_table import CLASSES
    from goldfold.competitions.label_metric import class_weight_list
    from goldfold.competitions.label_tables import label_targets
    from goldfold.training.fold_run import FoldData
    from goldfold.training.label_validation import LabelledImages

    form = run.settings.competition
    targets = label_targets(train.loc[inside, CLASSES].tolist(), form.classes)
    return FoldData(
        cache=cache,
        rows=cache.rows(inside),
        non_empty=non_empty_flags(train.loc[inside], form),
        validation=LabelledImages(
            rows=cache.rows(held_out),
            targets=label_targets(train.loc[held_out, CLASSES].tolist(), form.classes),
            exclusive=form.exclusive,
            class_weights=class_weight_list(form.classes, form.metric_weights),
        ),
        metric=form.metric,
        weights=sampling_weights_of(train.loc[inside], one.settings.sampling),
        pseudo=pseudo,
        labels=targets,
        class_weights=loss_weights(one.settings.loss, form, targets),
    )


def non_empty_flags(train: pd.DataFrame, form: CompetitionSettings) -> NDArray[np.bool_]:
    """Return which images have something to be found, (N,): a mask, or a class.

    Of exclusive classes the first is the one of nothing found.
    """
    import numpy as np

    from goldfold.competitions.images_table import CLASSES
    from goldfold.competitions.label_tables import label_targets

    if not form.is_classification:
        flags: NDArray[np.bool_] = (train["area_px"] > 0).to_numpy()
        return flags
    targets = label_targets(train[CLASSES].tolist(), form.classes)
    return np.asarray((targets[:, 1:] if form.exclusive else targets).any(axis=1), dtype=bool)


def loss_weights(
    loss: Loss, form: CompetitionSettings, targets: NDArray[np.uint8]
) -> tuple[float, ...] | None:
    """Return the weight of each class in the loss, None where all are 1.

    `balanced` weighs a class by the images divided by classes and its own images.

    Args:
        loss: of a stage.
        form: with the classes.
        targets: (N, C) of the images to learn from.
    """
    from goldfold.competitions.label_metric import class_weight_list

    if loss.class_weights == "balanced":
        counts = targets.sum(axis=0).clip(min=1)
        return tuple((len(targets) / (len(form.classes) * counts)).tolist())
    if not loss.class_weights:
        return None
    return tuple(class_weight_list(form.classes, loss.class_weights))


def _cache(
    run: OpenRun,
    split: str,
    one: StageRun,
    caches: dict[tuple[str, Extent, int], ImageCache],
) -> ImageCache:
    from goldfold.extent import extent_of
    from goldfold.pipeline.image_caches import training_cache, unlabelled_cache

    size, channels = extent_of(one.settings.image_size), one.job.model.channels
    key = (split, size, channels)
    if key not in caches:
        build = training_cache if split == "train" else unlabelled_cache
        caches[key] = build(run, size, channels)
    return caches[key]


def sampling_weights_of(train: pd.DataFrame, sampling: Sampling) -> NDArray[np.float64] | None:
    """Return how likely each image is drawn, None where all are alike."""
    from goldfold.errors import InputError, did_you_mean
    from goldfold.training.sampler import sampling_weights

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
    one: StageRun,
    caches: dict[tuple[str, Extent, int], ImageCache],
) -> PseudoLabelled | None:
    """Return the unlabelled images that the stage mixes in, None without."""
    from goldfold.pipeline.pseudo_labels import open_pseudo_labels
    from goldfold.training.images import PseudoLabelled

    wanted = one.settings.pseudo_labels
    if wanted is None:
        return None
    labels = open_pseudo_labels(run, wanted.name, one.job.fold, one.settings.image_size)
    cache = _cache(run, "test", one, caches)
    return PseudoLabelled(cache, cache.rows(labels.image_ids), labels.masks)
