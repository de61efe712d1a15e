"""What of a pandas table is spread evenly over folds: classes, areas, or several labels."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.errors import InputError, first_few, plural
from goldfold.folds.group_keys import label_text
from goldfold.folds.strata import MOST_STRATA, area_strata, stratum_names, usable_bins

IntArray = NDArray[np.int64]
StrataKind = Literal["auto", "classes", "areas"]


def strata_kind_of(values: pd.Series, column: Hashable, asked: StrataKind) -> str:
    """Return whether a column holds classes or areas.

    Raises:
        InputError: values are missing, or there is no such kind.
    """
    if asked not in get_args(StrataKind):
        known = ", ".join(map(repr, get_args(StrataKind)))
        raise InputError(f"unknown strata_kind {asked!r}; there are {known}.")
    gone = values.isna().to_numpy()
    if gone.any():
        rows = [str(values.index[place]) for place in np.flatnonzero(gone).tolist()]
        raise InputError(
            f"column {column!r} has no value in {plural(len(rows), 'row', 'rows')} "
            f"({first_few(rows)}). Fill it in, or leave these rows out."
        )
    if asked != "auto":
        return asked
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return "classes"
    whole = (values == np.floor(values)).all()
    return "classes" if whole and values.nunique() <= MOST_STRATA else "areas"


def whole_areas(values: pd.Series, column: Hashable) -> IntArray:
    """Return a column of areas as whole pixels.

    Raises:
        InputError: the values are no numbers, negative, or fractions.
    """
    try:
        numbers = values.to_numpy(np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f'column {column!r} holds no numbers; strata_kind="classes" spreads its values.'
        ) from None
    bad = np.flatnonzero((numbers < 0) | (numbers != np.floor(numbers)))
    if bad.size:
        raise InputError(
            f"expected column {column!r} to hold areas in whole pixels, found "
            f"{numbers[bad[0]]:g} in row {values.index[int(bad[0])]} ({bad.size:,} such values in "
            "all). Multiply shares by the pixels of the image, cut other numbers into classes "
            '(pandas.qcut), or pass strata_kind="classes".'
        )
    whole: IntArray = numbers.astype(np.int64)
    return whole


def stratum_values(
    df: pd.DataFrame,
    kinds: Mapping[Hashable, str],
    count: int,
    area_bins: int,
    separator: str | None = None,
) -> list[list[list[str]]]:
    """Return what is spread evenly: column -> row -> its values, one unless cells are split.

    Values of several columns are written `column=value`.

    Args:
        df: the table.
        kinds: column -> `classes` or `areas`.
        count: number of folds.
        area_bins: number of quantiles of areas.
        separator: what separates the classes of a cell; None for one class per cell.
    """
    columns = []
    for column, kind in kinds.items():
        if kind == "areas":
            areas = whole_areas(df[column], column)
            bins = usable_bins(int((areas > 0).sum()), count, area_bins)
            cells = [[name] for name in stratum_names(area_strata(areas, bins))]
        elif separator is None:
            cells = [[label_text(value)] for value in df[column]]
        else:
            parts = [label_text(value).split(separator) for value in df[column]]
            cells = [list(dict.fromkeys(map(str.strip, own))) for own in parts]
        named = [[f"{column}={value}" for value in cell] for cell in cells]
        columns.append(cells if len(kinds) == 1 else named)
    return columns


def label_flags(columns: list[list[list[str]]]) -> dict[str, NDArray[np.bool_]]:
    """Return label -> (N,) whether each row has it, from what `stratum_values` returns."""
    flags = {}
    for cells in columns:
        own = [set(cell) for cell in cells]
        for name in sorted(set().union(*own) - {""}):
            flags[name] = np.array([name in cell for cell in own], np.bool_)
    return flags
