"""Folds for a pandas table of people's own, aligned with its rows."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.errors import InputError, did_you_mean, first_few, list_problems, plural
from goldfold.folds.build import build_fold_table, describe_folds
from goldfold.folds.frame_strata import (
    StrataKind,
    label_flags,
    strata_kind_of,
    stratum_values,
    whole_areas,
)
from goldfold.folds.group_keys import group_keys, label_text
from goldfold.folds.placed import leave_one_out, ordered_folds
from goldfold.vocabulary import FoldKind, names_of


class MissingGroupWarning(UserWarning):
    """Some rows have no group, and each of them became a group of its own."""


def build_folds(
    df: pd.DataFrame,
    group: Hashable | None = None,
    strata: Hashable | list[Hashable] | None = None,
    *,
    count: int = 5,
    seed: int = 0,
    strata_kind: StrataKind = "auto",
    area_bins: int = 4,
    id_column: Hashable | None = None,
    separator: str | None = None,
    kind: FoldKind = "balanced",
    column: Hashable | None = None,
) -> pd.DataFrame:
    """Return a table of folds with the index and the order of `df`.

    Rows with the same group share a fold; strata are spread evenly. A row keeps its fold when the
    rows are shuffled, because the folds depend on ids, groups, strata and seed alone.

    Columns of the result: fold (int64, 0 to count - 1), group (as in `df`; missing where a row is
    a group of its own), stratum (str).

    Args:
        df: one row per image.
        group: column whose equal values stay together, such as the patient. Rows without a value
            become groups of their own, with a `MissingGroupWarning`.
        strata: column to spread evenly, or a list of columns of which each value is spread:
            booleans, classes, or mask areas in pixels.
        count: number of folds, 2 to 20.
        seed: draws among equally good splits.
        strata_kind: what `strata` holds. "auto" takes text, categories, booleans and up to 20
            different whole numbers for classes, and any other numbers for areas.
        area_bins: areas are cut into this many quantiles, beside the empty masks.
        id_column: column that tells the rows apart; the index unless given.
        separator: what separates the classes of a cell, such as "|" in "Mass|Nodule": each class is
            spread evenly.
        kind: `balanced`; `leave-one-out`, a fold for each value of `column`; or `ordered`, folds
            that rise with it: train fold K on the folds before it alone.
        column: of sites and the like, or of numbers or dates in order.

    Raises:
        InputError: a column is missing, ids repeat, most rows have no group, strata have missing
            values, or whole groups cannot fill the folds.

    >>> table = pd.DataFrame({"patient": [7, 7, 8, 9], "label": [1, 0, 1, 0]})
    >>> build_folds(table, group="patient", strata="label", count=2)["fold"].tolist()
    [0, 0, 1, 1]
    """
    columns = _strata_columns(df, strata)
    _check_kind(kind, column)
    if separator == "":
        raise InputError('expected a separator of labels such as "|", found an empty text.')
    used = [name for name in (group, column) if name is not None]
    _check_frame(df, [*used, *columns])
    keys = _group_keys(df, group)
    ids = _ids(df, id_column, needed="" in keys)
    kinds = {column: strata_kind_of(df[column], column, strata_kind) for column in columns}
    areas, classes, labels = np.zeros(len(df), np.int64), None, None
    if list(kinds.values()) == ["areas"]:
        areas = whole_areas(df[columns[0]], columns[0])
    elif columns:
        values = stratum_values(df, kinds, count, area_bins, separator)
        rows = zip(*values, strict=True)
        classes = [", ".join(name for cell in row for name in cell) for row in rows]
        if len(columns) > 1 or separator is not None:
            labels = label_flags(values)
    if kind == "balanced":
        table = build_fold_table(
            ids,
            keys,
            areas,
            count=count,
            seed=seed,
            area_bins=area_bins,
            classes=classes,
            labels=labels,
        )
    else:
        fold = _placed(df, ids, keys, kind, column, count)
        bins, named = area_bins, labels is None
        table = describe_folds(
            ids,
            keys,
            areas,
            fold,
            area_bins=bins,
            classes=classes if named else None,
            labels=labels,
        )
    placed = table.set_index("image_id").loc[ids]
    known = np.array([bool(key) for key in keys])
    return pd.DataFrame(
        {
            "fold": placed["fold"].to_numpy(np.int64),
            "group": None if group is None else df[group].where(known).array,
            "stratum": placed["stratum"].to_numpy() if labels is None else classes,
        },
        index=df.index,
    )


def _check_kind(kind: str, column: Hashable | None) -> None:
    """Raise an InputError for an unknown kind of folds, or a column that it lacks or cannot use."""
    known = [name for name in names_of(FoldKind) if name != "file"]
    if kind not in known:
        raise InputError(
            f"unknown kind of folds {kind!r}; there are {', '.join(map(repr, known))}."
        )
    if (kind == "balanced") != (column is None):
        raise InputError(
            f"folds of kind {kind!r} need the name of a column (`column`)."
            if column is None
            else "balanced folds take no column; those of kind 'leave-one-out' or 'ordered' do."
        )


def _placed(
    df: pd.DataFrame,
    ids: list[str],
    keys: list[str],
    kind: FoldKind,
    column: Hashable | None,
    count: int,
) -> NDArray[np.int64]:
    """Return the fold of each row by the values of a column, (N,)."""
    values = ["" if pd.isna(value) else label_text(value) for value in df[column]]
    if kind == "ordered":
        return ordered_folds(ids, keys, values, str(column), count)
    return leave_one_out(ids, keys, values, str(column))


def _strata_columns(df: pd.DataFrame, strata: Any) -> list[Hashable]:
    if not isinstance(df, pd.DataFrame):
        raise InputError(
            f"expected a pandas DataFrame with one row per image, found a {type(df).__name__}. "
            "For sequences of ids, groups and areas use goldfold.folds.build_fold_table."
        )
    if strata is None:
        return []
    return list(strata) if isinstance(strata, list) else [strata]


def _check_frame(df: pd.DataFrame, columns: Sequence[Hashable]) -> None:
    """Raise an InputError where there are no rows, or a column is missing or there twice."""
    if df.empty:
        raise InputError("expected a table with at least one row, found none.")
    problems = []
    for column in dict.fromkeys(columns):
        count = int((df.columns == column).sum())
        if count == 0:
            known = ", ".join(map(str, df.columns))
            hint = did_you_mean(str(column), map(str, df.columns))
            problems.append(f"no column {column!r}; there are {known}.{hint}")
        elif count > 1:
            problems.append(f"{count} columns are called {column!r}; rename all but one")
    if problems:
        raise InputError(list_problems("cannot build folds:", problems))


def _ids(df: pd.DataFrame, id_column: Hashable | None, *, needed: bool) -> list[str]:
    """Return a different text for each row.

    Args:
        df: the table.
        id_column: where they stand; None for the index.
        needed: whether they decide anything, because rows without a group are named by them.
    """
    if id_column is not None:
        _check_frame(df, [id_column])
    labels = df.index if id_column is None else df[id_column]
    ids = [f"row {label_text(label)}" for label in labels]
    repeated = pd.Series(ids)[pd.Series(ids).duplicated()].unique().tolist()
    if not repeated:
        return ids
    if id_column is None and not needed:
        return [f"row {place}" for place in range(len(df))]
    where = "the index" if id_column is None else f"column {id_column!r}"
    raise InputError(
        f"expected {where} to tell all rows apart, found labels more than once: "
        f"{first_few([name.removeprefix('row ') for name in repeated])}. Name a column of "
        f"different "
        "ids with id_column, or the column whose equal values stay together with group."
    )


def _group_keys(df: pd.DataFrame, group: Hashable | None) -> list[str]:
    """Return a text for each row's group, "" for a row of its own; warn of missing groups."""
    if group is None:
        return [""] * len(df)
    # The prefix keeps a group 3 apart from a row 3 that is a group of its own.
    keys = [f"group {key}" if key else "" for key in group_keys(df[group])]
    alone = keys.count("")
    if 2 * alone > len(keys):
        raise InputError(
            f"column {group!r} has no value in {alone:,} of {len(keys):,} rows, so it cannot keep "
            "groups together. Fill it in, or leave group out if the rows are independent."
        )
    if alone:
        rows = [str(df.index[place]) for place, key in enumerate(keys) if not key]
        warnings.warn(
            f"column {group!r} has no value in {plural(alone, 'row', 'rows')} "
            f"({first_few(rows)}): each is a group of its own. Fill the column in if some of them "
            "belong together.",
            MissingGroupWarning,
            stacklevel=3,
        )
    return keys
