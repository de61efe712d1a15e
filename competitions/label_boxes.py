"""Columns of an unknown table with the corners or sides of boxes."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from goldfold.competitions.label_columns import content_of

_CORNERS = frozenset(
    {
        *("xmin", "ymin", "xmax", "ymax", "x1", "y1", "x2", "y2", "x", "y"),
        *("width", "height", "w", "h"),
    }
)
_BOX = frozenset({"bbox", "box", "bndbox", "boundingbox"})
_SIDES = 4


def box_columns(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return the columns with boxes: one that is called so, or at least four of corners or sides.

    Args:
        table: rows as text.
        columns: names of the columns to look at.
    """
    whole = [name for name in columns if _flat(name) in _BOX]
    sides = [
        name
        for name in columns
        if _flat(name) in _CORNERS and content_of(name, list(table[name])).content != "names"
    ]
    return [*whole, *(sides if len(sides) >= _SIDES else [])]


def _flat(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
