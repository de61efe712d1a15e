"""The fold table of a run's present images and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.competitions.data_folder import require_table
from goldfold.competitions.images_table import (
    CLASSES,
    FIXED,
    JOINT,
    NUMBER,
    group_column,
    mask_columns,
    training_images,
)
from goldfold.errors import InputError, did_you_mean
from goldfold.files import file_hash
from goldfold.folds.build import build_fold_table, describe_folds
from goldfold.folds.fold_view import FoldView
from goldfold.folds.placed import given_folds, leave_one_out, ordered_folds
from goldfold.folds.strata import number_strata
from goldfold.folds.table import read_fold_table

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from goldfold.pipeline.open_run import OpenRun
    from goldfold.settings import FoldSettings


def split_images(run: OpenRun) -> pd.DataFrame:
    """Return the fold table of the present images and settings.

    Raises:
        InputError: the split is impossible, or the table of folds does not fit the images.
    """
    train = training_images(run.images)
    settings = run.settings.folds
    ids, groups = list(train["image_id"]), list(group_column(train, settings.group))
    areas, labels = train["area_px"].to_numpy(), _labels(run, train)
    classes = None if labels else _strata_by_label(train, settings)
    if settings.kind == "balanced":
        return build_fold_table(
            ids,
            groups,
            areas,
            count=settings.count,
            seed=settings.seed,
            area_bins=settings.area_bins,
            classes=classes,
            labels=labels,
        )
    fold = _placed(run, train, groups)
    bins = settings.area_bins
    return describe_folds(ids, groups, areas, fold, area_bins=bins, classes=classes, labels=labels)


def fold_numbers(run: OpenRun) -> list[int]:
    """Return the folds that models can be judged on; of ordered ones the first is none.

    Raises:
        InputError: the data decides the folds, and cannot be split.
    """
    settings = run.settings.folds
    if settings.kind == "balanced":
        return list(range(settings.count))
    if settings.kind == "ordered":
        return list(range(1, settings.count))
    return run.fold_view.folds


def view_of(run: OpenRun, folds: pd.DataFrame) -> FoldView:
    """Return who may see which image, by a fold table of this run."""
    return FoldView(folds, ordered=run.settings.folds.kind == "ordered")


def placing_facts(run: OpenRun) -> dict[str, Any]:
    """Return what folds that are not searched for are made from; {} for balanced ones.

    Raises:
        InputError: the column or the table of the folds does not exist.
    """
    settings = run.settings.folds
    if settings.kind == "balanced":
        return {}
    if settings.kind == "file":
        return {"file": file_hash(_fold_file(run))}
    return {"values": _placing_column(training_images(run.images), settings)}


def _placed(run: OpenRun, train: pd.DataFrame, groups: list[str]) -> Any:
    """Return the fold of each training image, (N,) int64, for all kinds but `balanced`."""
    settings, ids = run.settings.folds, list(train["image_id"])
    if settings.kind == "file":
        path = _fold_file(run)
        images = run.images
        names = ("folds.id_column", "folds.fold_column")
        ids_of_all = list(images["image_id"])
        columns = settings.id_column, settings.fold_column
        table = read_fold_table(path, *columns, known=ids_of_all, options=names)
        known = {
            image_id: "a test image" if split == "test" else "not labelled"
            for image_id, split in zip(images["image_id"], images["split"], strict=True)
        }
        rows = list(zip(table["image_id"], table["fold"], strict=True))
        return given_folds(ids, groups, rows, known, path.name)
    column = settings.column or settings.group
    values = _placing_column(train, settings)
    if settings.kind == "leave-one-out":
        return leave_one_out(ids, groups, values, column)
    return ordered_folds(ids, groups, values, column, settings.count)


def _fold_file(run: OpenRun) -> Any:
    file = run.settings.folds.file or ""
    data = run.settings.competition.data
    return require_table(data, [file], "table of the folds", "folds.file")


def _placing_column(train: pd.DataFrame, settings: FoldSettings) -> list[str]:
    """Return the value of each training image in the column that decides its fold."""
    column = settings.column or settings.group
    own = [str(name) for name in train.columns if name not in FIXED and ":" not in str(name)]
    if column not in own:
        known = ", ".join(own) or "none"
        raise InputError(
            f"folds.column = {column!r}: images.csv has no such column (further columns: {known})."
            f"{did_you_mean(column, own)}"
        )
    return [str(value) for value in train[column]]


def _labels(run: OpenRun, train: pd.DataFrame) -> dict[str, ArrayLike] | None:
    """Return the labels, or areas of each class's masks, None unless an image has several."""
    if CLASSES not in train.columns or not train[CLASSES].str.contains(JOINT, regex=False).any():
        return None
    names = [set(cell.split(JOINT)) - {""} for cell in train[CLASSES]]
    labels: dict[str, ArrayLike] = {}
    for name in sorted(set().union(*names)):
        area = mask_columns(name)[1]
        has = np.array([name in own for own in names], np.bool_)
        labels[name] = train[area].to_numpy(np.int64) if area in train.columns else has
    return labels


def _strata_by_label(train: pd.DataFrame, settings: FoldSettings) -> list[str] | None:
    """Return what is spread evenly besides images: classes or quantiles; None for mask areas."""
    if CLASSES in train.columns:
        return list(train[CLASSES])
    if NUMBER in train.columns:
        return number_strata(
            train[NUMBER].astype(float).tolist(), settings.count, settings.area_bins
        )
    return None
