"""How the columns that look like groups lie in a fold table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from goldfold.errors import plural


@dataclass(frozen=True)
class ColumnCount:
    """The values of one column over the folds."""

    name: str
    values: int
    """Different values that are known."""
    repeated: int
    """Those with several images."""
    split: int
    """Those with images in more than one fold."""
    declined: bool
    """Whether settings say that images with equal values are independent."""

    def text(self) -> str:
        """Return a line on a column that is whole or declined; "" for one that leaks."""
        of_them = f"{plural(self.values, 'value', 'values')}, {self.repeated:,} with several images"
        if self.declined:
            return (
                f'notice: column "{self.name}" was declined (folds.not_groups): {of_them}, '
                f"{self.split:,} in more than one fold"
            )
        return "" if self.split else f'column "{self.name}" is kept whole: {of_them}'


def count_columns(
    placed: pd.DataFrame, columns: Mapping[str, Mapping[str, str]], declined: Collection[str]
) -> tuple[ColumnCount, ...]:
    """Return the counts of each column.

    Args:
        placed: image_id and fold, one row for each image and fold.
        columns: name -> image_id -> value; "" = unknown.
        declined: names of those whose images are independent.
    """
    counts = []
    for name, values in columns.items():
        keys = [values.get(image_id) or None for image_id in placed["image_id"]]
        known = placed.assign(key=pd.Series(keys, index=placed.index, dtype=object))
        by_key = known.dropna(subset=["key"]).groupby("key")
        repeated = int((by_key["image_id"].nunique() > 1).sum())
        split = int((by_key["fold"].nunique() > 1).sum())
        counts.append(ColumnCount(name, by_key.ngroups, repeated, split, name in declined))
    return tuple(counts)
