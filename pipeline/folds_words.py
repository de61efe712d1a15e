"""Texts about a fold table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goldfold.folds.table import fold_summary
from goldfold.text_table import Line, Table

if TYPE_CHECKING:
    import pandas as pd

STRATA_SHOWN = 8
"""Classes, or combinations of them, in the table of folds, the most frequent ones."""


def fold_summary_rows(folds: pd.DataFrame) -> list[dict[str, Any]]:
    """Return counts and area quantiles of each fold, as plain values."""
    summary = fold_summary(folds).rename(columns={"patients": "groups"})
    return [{str(k): v for k, v in row.items()} for row in summary.to_dict("records")]


def fold_lines(folds: pd.DataFrame) -> list[Line]:
    """Return counts and area quantiles for each fold, counts of classes, or both."""
    if not (folds["area_px"] > 0).any() and folds["stratum"].nunique() > 1:
        return _class_lines(folds)
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
    if not folds["stratum"].str.fullmatch(r"empty|area-\d+").all():
        lines += _class_lines(folds)  # of several masks per image
    return lines


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
