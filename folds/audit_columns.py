"""How the values of columns that look like groups are spread over the folds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from goldfold.errors import plural


@dataclass(frozen=True)
class ColumnCount:
    """How the values of one column are spread over the folds."""

    name: str
    values: int
    """Number of different known values."""
    repeated: int
    """Values with several images."""
    split: int
    """Values with images in more than one fold."""
    declined: bool
    """Whether settings say that images with equal values are independent."""
    site: bool = False
    """Whether the values are the places where images were taken."""

    def text(self) -> str:
        """Return a line about the column; "" if it leaks, which is reported elsewhere."""
        counts = f"{plural(self.values, 'value', 'values')}, {self.repeated:,} with several images"
        if self.site and not self.declined:
            return (
                f'notice: column "{self.name}" tells sites, not patients: {counts}, '
                f"{self.split:,} in more than one fold"
            )
        if self.declined:
            return (
                f'notice: column "{self.name}" was declined (folds.not_groups): {counts}, '
                f"{self.split:,} in more than one fold"
            )
        if self.split:
            return ""
        return f'no value of column "{self.name}" is in more than one fold: {counts}'


def count_columns(
    placed: pd.DataFrame,
    columns: Mapping[str, Mapping[str, str]],
    declined: Collection[str],
    sites: Collection[str] = (),
) -> tuple[ColumnCount, ...]:
    """Return the counts of each column.

    Args:
        placed: image_id and fold, one row per image and fold.
        columns: name -> image_id -> value; "" = unknown.
        declined: names of the columns whose images are independent.
        sites: names of the columns with places.
    """
    counts = []
    for name, values in columns.items():
        keys = [values.get(image_id) or None for image_id in placed["image_id"]]
        known = placed.assign(key=pd.Series(keys, index=placed.index, dtype=object))
        by_key = known.dropna(subset=["key"]).groupby("key")
        repeated = int((by_key["image_id"].nunique() > 1).sum())
        split = int((by_key["fold"].nunique() > 1).sum())
        counts.append(
            ColumnCount(name, by_key.ngroups, repeated, split, name in declined, name in sites)
        )
    return tuple(counts)
