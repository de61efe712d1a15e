"""One kind of fault in a fold table, with every case of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Finding:
    """One kind of fault, with every case of it."""

    kind: str
    """Short identifier, e.g. `group-in-several-folds`."""
    message: str
    """One sentence: what was found and how often."""
    cases: tuple[str, ...]
    """Every case in a few words, largest first, else in the order of the table."""


_NOUNS = {"id": "ids", "group": "groups", "content": "identical images"}
_MEANING = {
    "id": "the same image would be trained on and validated",
    "group": "the same patient would be trained on and validated",
    "content": "the same pixels would be trained on and validated",
}


def several_folds(
    placed: pd.DataFrame, keys: pd.Series, what: str, column: str = ""
) -> Finding | None:
    """Return the keys whose images are in more than one fold, None if there are none.

    Args:
        placed: image_id and fold, one row per image.
        keys: key of each row; None = not compared.
        what: `id`, `group`, `content`, or `column` for the values of a column that looks like a
            group.
        column: name of that column.
    """
    known = placed.assign(key=keys).dropna(subset=["key"])
    spread = known.groupby("key")["fold"].nunique()
    leaking = spread.index[spread > 1]
    if leaking.empty:
        return None
    hit = known[known["key"].isin(leaking)]
    by_key = {str(key): part for key, part in hit.groupby("key", sort=True)}
    largest_first = sorted(by_key, key=lambda key: -len(by_key[key]))
    images = hit["image_id"].nunique()
    noun = _NOUNS.get(what, f'values of the column "{column}"')
    meaning = _MEANING.get(what, f"images of the same {column} would be trained on and validated")
    return Finding(
        kind=f"{what}-in-several-folds",
        message=f"{noun} in more than one fold: {len(leaking)} of {len(spread)} "
        f"({images} images); {meaning}.",
        cases=tuple(_spread_case(key, by_key[key], what) for key in largest_first),
    )


def _spread_case(key: str, part: pd.DataFrame, what: str) -> str:
    if what == "content":
        ids = zip(part["image_id"], part["fold"], strict=True)
        return ", ".join(f"{image_id} in fold {fold}" for image_id, fold in ids)
    count = Counter(part["fold"])
    folds = sorted(count, key=natural)
    if what == "id":
        return f"{key} in folds {', '.join(folds)}"
    return f"{key}: " + ", ".join(f"{count[fold]} in fold {fold}" for fold in folds)


def ids_finding(kind: str, message: str, cases: Collection[str]) -> Finding | None:
    """Return a finding with these cases, None if there are no cases."""
    return Finding(kind, message, tuple(cases)) if len(cases) else None


def natural(fold: str) -> tuple[int, int, str]:
    """Return a sort key: numbered folds by number, then the others by name."""
    return (0, int(fold), "") if fold.lstrip("-").isdigit() else (1, 0, fold)
