"""What a stage of a fold learns from, out of the run's tables and caches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.commands.context import Run
    from goldfold.commands.training_stage import StageRun
    from goldfold.extent import Extent, Given
    from goldfold.settings import CompetitionSettings, Loss, Sampling
    from goldfold.training.cache import ImageCache
    from goldfold.training.fold_run import FoldData
    from goldfold.training.images import PseudoLabelled


def fold_data(
    run: Run,
    one: StageRun,
    images: pd.DataFrame,
    folds: pd.DataFrame,
    caches: dict[tuple[str, Extent, int], ImageCache],
) -> FoldData:
    """Return the data of a stage.

    Args:
        run: the run.
        one: the stage.
        images: of the run.
        folds: of the run.
        caches: by split, size and channels; one that is missing is built and added.

    Raises:
        InputError: images are missing, or pseudo-labels, or the column of the sampling weights.
    """
    from goldfold.competitions.images_table import object_cells, training_images
    from goldfold.competitions.rle import get_dialect
    from goldfold.training.fold_run import FoldData
    from goldfold.training.validation import ValidationImages

    cache = _cache(run, images, "train", one, caches)
    train = training_images(images).set_index("image_id")
    inside = sorted(folds.loc[folds["fold"] != one.job.fold, "image_id"])
    held_out = sorted(folds.loc[folds["fold"] == one.job.fold, "image_id"])
    form = run.settings.competition
    if form.is_classification:
        pseudo = _pseudo_labelled(run, one, images, folds, caches)
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
        pseudo=_pseudo_labelled(run, one, images, folds, caches),
        mirror=form.mirror,
    )


def labels_fingerprint(run: Run, train: pd.DataFrame) -> str:
    """Return what changes when labels do, or what is read of the training images."""
    from goldfold.competitions.image import PLAIN, reading_of
    from goldfold.competitions.images_table import CLASSES, object_cells
    from goldfold.files import fingerprint

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


def encoded_masks(form: CompetitionSettings, images: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the run-length encodings of each image's masks, in the order of the outputs."""
    from goldfold.competitions.images_table import mask_columns

    columns = [mask_columns(name)[0] for name in form.mask_classes] or ["mask_rle"]
    return list(zip(*(images[column].tolist() for column in columns), strict=True))


def _label_data(
    run: Run,
    one: StageRun,
    train: pd.DataFrame,
    cache: ImageCache,
    inside: list[str],
    held_out: list[str],
    pseudo: PseudoLabelled | None,
) -> FoldData:
    """Return the data of a stage that learns classes; an image of any class is "non-empty"."""
    from goldfold.competitions.class_labels import label_targets
    from goldfold.competitions.images_table import CLASSES
    from goldfold.competitions.label_metric import class_weight_list
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

    from goldfold.competitions.class_labels import label_targets
    from goldfold.competitions.images_table import CLASSES

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
    run: Run,
    images: pd.DataFrame,
    split: str,
    one: StageRun,
    caches: dict[tuple[str, Extent, int], ImageCache],
) -> ImageCache:
    from goldfold.extent import extent_of

    size, channels = extent_of(one.settings.image_size), one.job.model.channels
    key = (split, size, channels)
    if key not in caches:
        build = training_cache if split == "train" else unlabelled_cache
        caches[key] = build(run, images, size, channels)
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
    run: Run,
    one: StageRun,
    images: pd.DataFrame,
    folds: pd.DataFrame,
    caches: dict[tuple[str, Extent, int], ImageCache],
) -> PseudoLabelled | None:
    """Return the unlabelled images that the stage mixes in, None without."""
    from goldfold.commands.pseudo_label import open_pseudo_labels
    from goldfold.training.images import PseudoLabelled

    wanted = one.settings.pseudo_labels
    if wanted is None:
        return None
    labels = open_pseudo_labels(
        run, images, folds, wanted.name, one.job.fold, one.settings.image_size
    )
    cache = _cache(run, images, "test", one, caches)
    return PseudoLabelled(cache, cache.rows(labels.image_ids), labels.masks)


def training_cache(run: Run, images: pd.DataFrame, size: Given, channels: int) -> ImageCache:
    """Return the cache of all labelled training images.

    Raises:
        InputError: some of them have no image file.
    """
    from goldfold.competitions.images_table import training_images
    from goldfold.errors import InputError

    train = training_images(images)
    bare = train[train["path"] == ""]
    if len(bare):
        raise InputError(
            f"{len(bare):,} of {len(train):,} training images have no image file (the first: "
            f'{bare["image_id"].iloc[0]}). Download them, or set competition.imageless = "drop".'
        )
    form = run.settings.competition
    masks = None if form.is_classification else encoded_masks(form, train)
    return _built(run, "train", train, masks, size, channels)


def unlabelled_cache(run: Run, images: pd.DataFrame, size: Given, channels: int) -> ImageCache:
    """Return the cache of all test images."""
    from goldfold.competitions.images_table import test_images

    return _built(run, "test", test_images(images), None, size, channels)


def _built(
    run: Run,
    split: str,
    table: pd.DataFrame,
    masks: Sequence[tuple[str, ...]] | None,
    size: Given,
    channels: int,
) -> ImageCache:
    """Return the cache of the images of a table, with their masks or without labels."""
    from goldfold.competitions.image import reading_of
    from goldfold.competitions.images_table import CONTENT
    from goldfold.competitions.rle import get_dialect
    from goldfold.training.cache import build_cache

    form = run.settings.competition
    return build_cache(
        run.directory.cache,
        split,
        image_ids=list(table["image_id"]),
        paths=[form.data / path for path in table["path"]],
        contents=list(table[CONTENT]),
        sizes=list(zip(table["height"].tolist(), table["width"].tolist(), strict=True)),
        masks=masks,
        dialect=None if masks is None else get_dialect(form.labels.dialect),
        size=size,
        channels=channels,
        reading=reading_of(form.images),
        workers=run.workers,
        progress=run.progress,
    )
