"""Texts about a fold table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.errors import first_few, plural
from goldfold.folds.labels import JOINT, label_balance, split_labels
from goldfold.folds.table import fold_summary
from goldfold.text_table import Line, Table

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

LABELS_SHOWN = 30
"""Labels in the table of folds, the most frequent ones."""
STRATA_SHOWN = 8
"""Classes, or combinations of them, in the table of folds, the most frequent ones."""


def fold_summary_rows(folds: pd.DataFrame) -> list[dict[str, Any]]:
    """Return counts and area quantiles of each fold, as plain values."""
    summary = fold_summary(folds).rename(columns={"patients": "groups"})
    return [{str(k): v for k, v in row.items()} for row in summary.to_dict("records")]


def fold_lines(folds: pd.DataFrame) -> list[Line]:
    """Return counts and area quantiles for each fold, counts of classes, or both."""
    several = folds["stratum"].str.contains(JOINT, regex=False).any()
    if not (folds["area_px"] > 0).any() and folds["stratum"].nunique() > 1:
        return (
            label_lines(folds, split_labels(list(folds["stratum"])))
            if several
            else (_class_lines(folds))
        )
    headers = ["fold", "images", "groups", "non-empty", "share", "area q25", "median", "q75"]
    rows = [
        [
            *(row[name] for name in ("fold", "images", "groups", "non_empty")),
            f"{row['fraction']:.1%}",
            *(
                f"{row[name]:,.0f}" if row[name] > 0 else "n/a"
                for name in ("area_q25", "area_median", "area_q75")
            ),
        ]
        for row in fold_summary_rows(folds)
    ]
    lines: list[Line] = [Table(headers, rows)]
    if several:
        lines += label_lines(folds, split_labels(list(folds["stratum"])))
    elif not folds["stratum"].str.fullmatch(r"empty|area-\d+").all():
        lines += _class_lines(folds)  # of several masks per image
    return lines


def label_lines(folds: pd.DataFrame, labels: Mapping[str, ArrayLike]) -> list[Line]:
    """Return the images of each label in each fold, and how far the worst fold is off.

    Args:
        folds: fold and group of N images.
        labels: label -> (N,) whether an image has it, or its area.
    """
    balance = label_balance(folds["fold"], labels)
    numbers = list(balance.columns[2:-1])
    rows = [
        [
            row["label"],
            *(f"{row[name]:,}" for name in ("images", *numbers)),
            f"{row['deviation']:.1%}",
        ]
        for row in balance.to_dict("records")
    ]
    every, labelled = rows[-1], rows[:-1]
    table = Table(
        ["label", "images", *(f"fold {number}" for number in numbers), "worst off by"],
        [*labelled[:LABELS_SHOWN], every],
    )
    lines: list[Line] = [table]
    if hidden := labelled[LABELS_SHOWN:]:
        lines.append(f"and {plural(len(hidden), 'rarer label', 'rarer labels')}")
    lines += _groups_of_rare_labels(folds, labels)
    return lines


def _groups_of_rare_labels(folds: pd.DataFrame, labels: Mapping[str, ArrayLike]) -> list[Line]:
    """Return a line naming the labels that some folds do not have, with the reason."""
    count = folds["fold"].nunique()
    few = []
    for label, values in labels.items():
        own = folds[np.asarray(values) > 0]
        if 0 < own["fold"].nunique() < count:
            few.append(f"{label} ({plural(own['group'].nunique(), 'group', 'groups')})")
    if not few:
        return []
    return [f"labels that some folds do not have: {first_few(few)}"]


def _class_lines(folds: pd.DataFrame) -> list[Line]:
    frequent = folds["stratum"].value_counts()
    strata = list(frequent.index[:STRATA_SHOWN])
    rows = []
    for fold, part in folds.groupby("fold"):
        counts = part["stratum"].value_counts().reindex(strata, fill_value=0)
        rows.append([fold, len(part), part["group"].nunique(), *counts.tolist()])
    lines: list[Line] = [Table(["fold", "images", "groups", *strata], rows)]
    if len(frequent) > len(strata):
        lines.append(f"and {len(frequent) - len(strata)} rarer combinations of classes")
    return lines
