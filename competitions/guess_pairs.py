"""Decides which two numbers describe a run, and the number of the first pixel.

Readings of the cells are compared by how many cells they fit, by how compact masks are, and by how
many runs end at the border of their image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from goldfold.competitions.dialect import Dialect, get_dialect
from goldfold.competitions.guess_order import MOST_MASKS, PlacedMask, Size, evenly
from goldfold.competitions.pixel_runs import Runs
from goldfold.competitions.rle import parse
from goldfold.competitions.run_numbers import PAIRS
from goldfold.competitions.run_parts import border_contacts, count_parts
from goldfold.errors import RunLengthError, plural

_CLEARER, _MORE_PARTS = 1.5, 8
_CONTACTS, _CONTACT_RATIO, _SHORT_RUNS = 10, 5, 10


@dataclass(frozen=True)
class Reading:
    """The cells in one dialect: place of a cell -> its runs, without those that do not fit."""

    dialect: Dialect
    masks: dict[int, PlacedMask]

    def __len__(self) -> int:
        return len(self.masks)


def read_cells(
    texts: Mapping[int, str],
    sizes: Mapping[int, Size | None],
    settings: Mapping[str, Any],
    *,
    bounded: bool = True,
) -> Reading:
    """Return the cells as a dialect reads them, with the size of their images where it is known."""
    dialect = get_dialect(settings)
    masks = {}
    for place, text in texts.items():
        size = sizes[place]
        pixels = size[0] * size[1] if size is not None and bounded else None
        try:
            runs = parse(text, dialect, pixels=pixels)
        except RunLengthError:
            continue
        if len(runs):
            masks[place] = PlacedMask(runs, size or (0, 0), place)
    return Reading(dialect, masks)


def best_reading(readings: Sequence[Reading], cells: int) -> tuple[Reading, list[str], str | None]:
    """Return the reading that fits best, the evidence, and a question if several fit equally."""
    most = max(map(len, readings))
    equal: list[Reading] = []
    for reading in (reading for reading in readings if len(reading) == most):
        if not any(_same_runs(reading, other) for other in equal):
            equal.append(reading)
    best = equal[0]
    evidence = []
    if len(equal) > 1:
        equal = _with_shortest_runs(equal)
        equal, line = _most_compact(equal)
        evidence += line
        best = equal[0]
    if len(equal) > 1:
        best, line = _most_contacts(equal)
        evidence += line
        equal = [best] if line else equal
    fit = f"{most:,} of {plural(cells, 'mask', 'masks')}"
    evidence.insert(0, f"read as {in_words(best.dialect)}, {fit} lie inside their images")
    others = [reading.dialect for reading in equal if reading is not best]
    if not others:
        return best, evidence, None
    if all(other.runs == best.dialect.runs for other in others):
        evidence.append(
            f"the first pixel is taken as number {best.dialect.base}, which is usual; the numbers "
            "would fit the other base as well, by which masks would lie one pixel further"
        )
        return best, evidence, None
    named = ", ".join(in_words(dialect) for dialect in others)
    return best, evidence, f"They may be {in_words(best.dialect)}, but also {named}."


def _with_shortest_runs(readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings without `start-last` if its runs have 2 pixels often, but never 1.

    Then the second number is the pixel after the last one. Masks have runs of 1 pixel where they
    have runs of 2.
    """
    if not any(reading.dialect.runs == "start-stop" for reading in readings):
        return list(readings)
    kept = []
    for reading in readings:
        lengths = [mask.runs.lengths for mask in reading.masks.values()]
        shortest = np.bincount(np.concatenate(lengths).clip(max=3), minlength=3)
        if reading.dialect.runs != "start-last" or shortest[1] or shortest[2] < _SHORT_RUNS:
            kept.append(reading)
    return kept


def _same_runs(first: Reading, other: Reading) -> bool:
    return first is other or all(
        np.array_equal(mask.runs.starts, other.masks[place].runs.starts)
        and np.array_equal(mask.runs.lengths, other.masks[place].runs.lengths)
        for place, mask in first.masks.items()
        if place in other.masks
    )


def _most_compact(readings: Sequence[Reading]) -> tuple[list[Reading], list[str]]:
    """Return the readings whose masks have about the fewest parts, and a line if some do not."""
    parts = [_parts(reading) for reading in readings]
    least = min(parts)
    kept = [
        reading
        for reading, count in zip(readings, parts, strict=True)
        if count < _CLEARER * least or count < least + _MORE_PARTS
    ]
    if len(kept) == len(readings):
        return kept, []
    masks = max(1, min(MOST_MASKS, len(readings[0])))
    worst = max(parts)
    return kept, [
        f"read so, masks fall into {least / masks:.1f} parts on average, in another way into "
        f"{worst / masks:.1f}"
    ]


def _parts(reading: Reading) -> int:
    """Return how many parts masks have together, in the better order."""
    masks = evenly([mask for mask in reading.masks.values() if min(mask.size)], MOST_MASKS)
    return min(sum(count_parts(mask.runs, mask.size[side]) for mask in masks) for side in (0, 1))


def _most_contacts(readings: Sequence[Reading]) -> tuple[Reading, list[str]]:
    """Return the reading in which most runs end at the border, and a line if that is clear."""
    counts = [_contacts(reading) for reading in readings]
    best = int(np.argmax(counts))
    second = max(count for place, count in enumerate(counts) if place != best)
    # Masks that keep one pixel clear of every border touch it whichever way they are moved.
    second = max(second, _contacts(readings[best], -2 if readings[best].dialect.base == 0 else 2))
    if counts[best] < _CONTACTS or counts[best] < _CONTACT_RATIO * second:
        return readings[0], []
    return readings[best], [
        f"the first pixel is number {readings[best].dialect.base}: so {counts[best]:,} runs end at "
        f"the border of their image, otherwise {second:,}"
    ]


def _contacts(reading: Reading, moved_px: int = 0) -> int:
    """Return how many runs begin or end at a border, if all are moved by some pixels."""
    masks = [
        (Runs(mask.runs.starts + moved_px, mask.runs.lengths), mask.size)
        for mask in reading.masks.values()
        if min(mask.size)
    ]
    return max(sum(border_contacts(runs, size[side]) for runs, size in masks) for side in (0, 1))


def in_words(dialect: Dialect) -> str:
    """Return what the numbers of a dialect are, whatever the order of the pixels."""
    if dialect.runs == "counts":
        return "COCO's counts"
    return f"pairs '{PAIRS[dialect.runs]}' from pixel {dialect.base}"
