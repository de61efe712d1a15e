"""INTERIM"""
from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from goldfold.competitions.rle import DIALECTS, get_dialect, is_empty, parse
from goldfold.errors import RunLengthError

_RUNS = re.compile(r"\s*-?\d+(\s+\d+)+\s*")

@dataclass(frozen=True)
class DialectGuess:
    dialect: object
    size: tuple[int, int] | None
    evidence: list
    question: str | None
    certain_order: bool

def is_mask_column(cells):
    filled = [cell for cell in list(cells)[:300] if not is_empty(cell)]
    return bool(filled) and all(_RUNS.fullmatch(cell) for cell in filled)

def guess_dialect(cells, sizes, image=None):
    fits = Counter()
    for name in DIALECTS:
        for cell, size in zip(cells, sizes):
            try:
                parse(cell, get_dialect(name), pixels=size and size[0]*size[1])
            except RunLengthError:
                continue
            fits[name] += 1
    order = ["kaggle", "siim", "row-major", "row-major-0", "kaggle-dash"]
    best = max(order, key=lambda name: (fits[name], -order.index(name)))
    return DialectGuess(best, None, [f"{best} fits {fits[best]} of {len(cells)} masks"], "Down the columns or along the rows?", False)
