"""Decides in which run-length dialect the masks of a table are written.

The evidence, in this order: bounds and sequence of the runs tell positions from gaps; numbers of 0,
bounds and objects at the border tell the base; how compact masks are tells the order of the pixels
where height differs from width, and how well they fit their images where it does not. Compactness
also tells masks of another size than the images. What nothing decides is a question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.dialect import Dialect, get_dialect
from goldfold.competitions.guess_order import (
    OrderGuess,
    PlacedMask,
    Size,
    evenly,
    guess_order,
)
from goldfold.competitions.guess_pairs import Reading, best_reading, in_words, read_cells
from goldfold.competitions.guess_size import guess_size
from goldfold.competitions.mask_text import MaskForm, empty_token, empty_word, mask_form
from goldfold.competitions.rle import is_empty
from goldfold.errors import plural
from goldfold.settings_text import to_value

LOOKED_AT = 1_000
"""Cells that are examined, evenly spaced."""
_ENOUGH = 0.8
"""Share of the cells that a dialect must fit to be named without a question."""
_NUMBERS: tuple[dict[str, Any], ...] = (
    {"base": 1},
    {"runs": "gap-length", "base": 0, "empty": "-1"},
    {"base": 0},
    {"runs": "counts", "separator": ", ", "brackets": "[]"},
    {"runs": "start-last", "base": 1},
    {"runs": "start-last", "base": 0},
    {"runs": "start-stop", "base": 0},
    {"runs": "start-stop", "base": 1},
    {"runs": "gap-length", "base": 1},
)
"""Readings of numbers; of two between which nothing decides, the earlier one is more usual."""
_READINGS: dict[MaskForm, tuple[dict[str, Any], ...]] = {
    "numbers": _NUMBERS,
    "letters": ({"runs": "counts", "text": "coco"},),
    "object": ({"runs": "counts", "text": "coco"},),
    "packed": ({"runs": "counts", "text": "coco-base64"},),
}


@dataclass(frozen=True)
class DialectGuess:
    """What the masks of a table are written in.

    Attributes:
        dialect: for `labels.dialect`: a name, or a table.
        size: height and width to which the masks refer, None where it is that of the images.
        evidence: what tells, one line each.
        question: what nothing tells, None if everything is decided.
    """

    dialect: str | dict[str, Any]
    size: Size | None
    evidence: list[str] = field(default_factory=list)
    question: str | None = None


def guess_dialect(
    cells: Sequence[str],
    sizes: Sequence[Size | None],
    image: Callable[[int], NDArray[np.uint8] | None] | None = None,
) -> DialectGuess:
    """Return the dialect that the masks of a table are written in, with the evidence.

    Args:
        cells: the column of masks as text.
        sizes: height and width of each cell's image, None where there is none.
        image: number of a cell -> its image, (H, W) or (H, W, C) uint8, None if it cannot be read;
            asked for at most 300 cells, and only if nothing else tells the order of the pixels.
    """
    word = empty_word(cells)
    empties = Counter(cell.strip() for cell in cells if _is_nothing(cell, word))
    empty = {"empty": word or empty_token(empties)} if empties else {}
    filled = [place for place, cell in enumerate(cells) if not _is_nothing(cell, word)]
    if not filled:
        return DialectGuess(
            "kaggle", None, ["no cell has a mask"], _ask_all("There is no mask to judge by.")
        )
    chosen = evenly(filled, LOOKED_AT)
    texts = {place: cells[place].strip() for place in chosen}
    known = {place: sizes[place] for place in chosen}
    readings = [
        read_cells(texts, known, settings if _is_count(word, settings) else {**settings, **empty})
        for settings in _READINGS[_form(texts.values())]
    ]
    if max(map(len, readings)) < _ENOUGH * len(texts):
        return _without_bounds(texts, known, readings, image)
    best, evidence, doubt = best_reading(readings, len(texts))
    if word:
        said = plural(empties[word], "cell says", "cells say")
        evidence.append(f"{said} {word!r}, which is taken for an empty mask")
    question = None if doubt is None else _ask_all(doubt)
    masks = list(best.masks.values())
    of_size = guess_size(masks)
    if of_size.size is not None:
        masks = [PlacedMask(mask.runs, of_size.size, mask.place) for mask in masks]
        evidence.append(of_size.evidence)
    return _with_order(best.dialect, of_size.size, evidence, question, guess_order(masks, image))


def _without_bounds(
    texts: dict[int, str],
    known: dict[int, Size | None],
    readings: Sequence[Reading],
    image: Callable[[int], NDArray[np.uint8] | None] | None,
) -> DialectGuess:
    """Return what can be said of masks that do not fit their images in any dialect."""
    unbounded = [
        read_cells(texts, known, reading.dialect.table(), bounded=False) for reading in readings
    ]
    most = max(map(len, unbounded))
    best = next(reading for reading in unbounded if len(reading) == most)
    fitting = max(readings, key=len)
    words = (
        f"no dialect fits: read as {in_words(fitting.dialect)}, {len(fitting):,} of "
        f"{plural(len(texts), 'mask', 'masks')} lie inside their images, and that is the most"
    )
    masks = list(best.masks.values())
    of_size = guess_size(masks)
    if most < _ENOUGH * len(texts) or of_size.size is None:
        question = _ask_all(f"{words[:1].upper()}{words[1:]}.")
        return DialectGuess(fitting.dialect.setting(), None, [words], question)
    masks = [PlacedMask(mask.runs, of_size.size, mask.place) for mask in masks]
    order = guess_order(masks, image)
    return _with_order(best.dialect, of_size.size, [of_size.evidence], of_size.question, order)


def _with_order(
    dialect: Dialect, size: Size | None, evidence: list[str], question: str | None, by: OrderGuess
) -> DialectGuess:
    """Return the guess, with the order of the pixels or a question about it."""
    evidence = [*evidence, by.evidence]
    if by.order is not None:
        dialect = get_dialect({**dialect.table(), "order": by.order})
    elif dialect.text == "numbers":
        other = get_dialect({**dialect.table(), "order": "row"})
        of_order = (
            "Are pixels counted down the columns or along the rows? "
            f"{by.evidence[:1].upper()}{by.evidence[1:]}. Look at `goldfold train preview RUN`, "
            "which outlines the masks, and set competition.labels.dialect (and that of the "
            f"submission) to {to_value(dialect.setting())} or {to_value(other.setting())}."
        )
        question = of_order if question is None else f"{question} {of_order}"
    else:
        evidence[-1] = "pixels are counted down the columns, as COCO does"
    return DialectGuess(dialect.setting(), size, evidence, question)


def _form(texts: Any) -> MaskForm:
    """Return how most cells write masks."""
    forms = Counter(form for text in texts if (form := mask_form(text)) is not None)
    return forms.most_common(1)[0][0] if forms else "numbers"


def _is_nothing(cell: str, word: str) -> bool:
    return is_empty(cell) or cell.strip() in ("-", "0 0", "1 0", word)


def _is_count(word: str, settings: dict[str, Any]) -> bool:
    """Return whether the word for an empty mask would be a number of pixels."""
    return word.isdecimal() and settings.get("runs") == "counts"


def _ask_all(reason: str) -> str:
    return (
        f"How are masks written? {reason} Look at `goldfold train preview RUN`, which outlines the "
        "masks, and set competition.labels.dialect (and that of the submission; docs/glossary.md "
        "describes what it can be)."
    )
