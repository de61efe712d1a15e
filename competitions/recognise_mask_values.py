"""Recognises what the values of mask files mean, or which question that leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goldfold.competitions.data_folder import path_in
from goldfold.competitions.mask_advice import FileValues, advice_lines, counted_values, file_values
from goldfold.competitions.mask_levels import NotAMaskError, read_mask
from goldfold.competitions.mask_pixels import read_mask_pixels
from goldfold.errors import ImageError, first_few, plural

_OBJECTS, _MANY = 12, 40
"""Numbers without gaps are objects if there are more than the first of these and not as many in all
files, or more than the second: classes are few, and mostly the same in all files."""


@dataclass(frozen=True)
class ValuesGuess:
    """What `labels.values` should be.

    Attributes:
        values: for the settings; [] = leave it unset.
        ignored_values: for the settings.
        evidence: what was found, in words.
        question: what the files do not tell, with lines for each answer; "" if nothing.
    """

    values: str | list[int | str]
    ignored_values: list[int | str]
    evidence: str
    question: str = ""


def guess_mask_values(files: Sequence[Path], data: Path, *, most: int = 200) -> ValuesGuess:
    """Return what the values of mask files mean.

    Args:
        files: the mask files of one pattern, or of one class.
        data: folder relative to which files are named.
        most: number of files that are read, evenly spread.
    """
    step = max(1, -(-len(files) // max(1, most)))
    chosen = list(files)[::step]
    levels: Counter[str] = Counter()
    unclear: list[FileValues] = []
    unreadable, full, empty, changed = [], 0, 0, 0
    for path in chosen:
        try:
            read = read_mask(path, data)
        except NotAMaskError as error:
            changed += error.unlistable
            unclear.append(error.values or file_values(read_mask_pixels(path, data)))
        except ImageError:
            unreadable.append(path_in(data, path))
        else:
            levels[read.level] += bool(read.level)
            full, empty = full + (read.full and bool(read.level)), empty + (not read.level)
    of = f"{len(chosen):,}" + (f" of {len(files):,} looked at" if len(chosen) < len(files) else "")
    broken = f"; {len(unreadable):,} cannot be read: {first_few(unreadable)}" if unreadable else ""
    known = [level for level, count in levels.items() if count]
    usable = len(chosen) - len(unreadable)
    if not usable:
        return ValuesGuess(
            [], [], f"none of {plural(len(chosen), 'mask file', 'mask files')} can be read"
        )
    if not unclear and (len(known) <= 1 or full == sum(levels.values())):
        named = ", ".join(["0", *known])
        none = f", {empty:,} of them empty" if empty else ""
        words = f"{usable:,} of {of} mask files have no other values than {named}{none}{broken}"
        return ValuesGuess([], [], words)
    unclear += [_two(level) for level, count in levels.items() for _ in range(count)]
    words = f"values of {of} mask files: {counted_values(unclear)}{broken}"
    if _numbers_objects(unclear):
        return ValuesGuess("objects", [], f"{words}; they number objects: many, without a gap")
    if changed:
        words = f"compression has changed the colours of {changed:,} of {of} mask files{broken}"
        return ValuesGuess([], [], words)
    lines = "\n".join(f"    {line}" for line in advice_lines(unclear))
    question = (
        f"What do the values of the mask files mean ({counted_values(unclear)})? Set the line that "
        f"fits in [competition.labels]:\n{lines}"
    )
    return ValuesGuess([], [], words, question)


def _numbers_objects(files: Sequence[FileValues]) -> bool:
    """Return whether values number the objects of each file."""
    highest = {file.count for file in files}
    numbered = all(file.numbered for file in files)
    most = max(highest)
    return numbered and (most > _MANY or (len(highest) > 1 and most > _OBJECTS))


def _two(level: str) -> FileValues:
    """Return the values of a file of 0 and another one, named as `LevelMask.level` is."""
    first = level.partition(" ")[0]
    token = int(first) if first.lstrip("-").isdigit() else first
    return FileValues((0, token), 2, token == 1)
