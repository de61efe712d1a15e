"""Labels of images and groups as text, however a table holds them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from goldfold.competitions.group_forms import one_form

_NOT_A_GROUP = frozenset({"", "nan", "none", "null", "<na>", "nat"})
"""Texts that missing values become when a column is made text."""


def label_text(value: Any) -> str:
    """Return a label as text; 7.0, to which missing values turn whole numbers, is 7.

    >>> label_text(7.0), label_text(7), label_text(" a ")
    ('7', '7', 'a')
    """
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def group_keys(values: Iterable[Any]) -> list[str]:
    """Return a text for each value, "" where it is missing.

    Missing are None, NaN, NA, NaT, blank text, and what these become as text, such as "nan".
    Values that differ in form only, such as 7 and 007, are one group.

    >>> group_keys([7.0, float("nan"), "nan", "p1", "007", "P1"])
    ['7', '', '', 'p1', '7', 'p1']
    """
    texts = ["" if pd.isna(value) else label_text(value) for value in values]
    return one_form(["" if text.lower() in _NOT_A_GROUP else text for text in texts])
