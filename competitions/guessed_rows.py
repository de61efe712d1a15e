"""Which columns make the ids of a submission whose rows are groups of images."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import permutations

import pandas as pd

_JOINTS = ("_", "-", "", "/", ".", " ")
_MOST_COLUMNS = 3
_FEW = 12
"""Columns whose combinations are tried, the first whose values are parts of ids."""


@dataclass(frozen=True)
class GuessedRows:
    """What `competition.rows` could say.

    Attributes:
        columns: that make an id, in its order.
        id: the id's pattern.
        rows: number of ids that they make.
        images: number of images.
    """

    columns: tuple[str, ...]
    id: str
    rows: int
    images: int

    @property
    def settings(self) -> dict[str, object]:
        """Return columns and id as `competition.rows` has them."""
        return {"columns": list(self.columns), "id": self.id}

    @property
    def evidence(self) -> str:
        """Return what was seen, in words."""
        return (
            f"the {self.rows:,} ids of the sample submission are {self.id}, groups of "
            f"{self.images:,} images"
        )


def guess_rows(table: pd.DataFrame, ids: Collection[str]) -> GuessedRows | None:
    """Return the columns whose values, joined, are exactly the ids of a sample submission.

    None if no columns make them. A test set that is only a sample may have one image per id.

    Args:
        table: one row per test image; all cells are text.
        ids: of the sample submission.
    """
    wanted = set(ids)
    if table.empty or not wanted:
        return None
    known = [str(name) for name in table.columns if (table[name].str.strip() != "").all()]
    usable = [name for name in known if _occurs(table[name], wanted)][:_FEW]
    for count in range(1, _MOST_COLUMNS + 1):
        for columns in permutations(usable, count):
            for joint in _JOINTS[: len(_JOINTS) if count > 1 else 1]:
                cells = [table[name].str.strip() for name in columns]
                made = {joint.join(values) for values in zip(*cells, strict=True)}
                if made == wanted and (len(wanted) < len(table) or "image_id" not in columns):
                    pattern = joint.join(f"{{{name}}}" for name in columns)
                    return GuessedRows(columns, pattern, len(wanted), len(table))
    return None


def _occurs(cells: pd.Series, ids: Collection[str]) -> bool:
    """Return whether the values of a column are parts of ids."""
    some = list(dict.fromkeys(cells.str.strip()))[:20]
    return all(any(value in image_id for image_id in ids) for value in some)
