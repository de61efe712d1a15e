"""Recognises a table of masks as run-length encodings: dialect, classes, rows per image."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.data_folder import image_id_of
from goldfold.competitions.dialect_guess import DialectGuess, guess_dialect
from goldfold.competitions.id_forms import plain_id
from goldfold.competitions.image import read_header, read_image
from goldfold.competitions.label_candidate import LabelCandidate
from goldfold.competitions.mask_text import is_mask_column
from goldfold.competitions.recognise_files import FoundFiles, Table
from goldfold.competitions.rle import is_empty
from goldfold.competitions.table_ids import IdMatch
from goldfold.errors import ImageError, first_few, plural
from goldfold.settings_masks import MOST_MASKS

_NAMES_RUNS = re.compile(r"rle|encod|pixels|mask|segmentation|annotation", re.IGNORECASE)
_MOST_CELLS = 1_000
"""Cells with a mask whose images are looked at."""


def add_runs(
    draft: CompetitionDraft,
    found: FoundFiles,
    table: Table,
    match: IdMatch,
    column: str,
    train: Sequence[Path],
) -> None:
    """Add run-length encodings to a draft, with what the data cannot decide about them.

    Args:
        draft: receives task, labels, evidence and questions.
        found: the files of the folder.
        table: the label table.
        match: how it names the images.
        column: its column with the encodings.
        train: the training images.
    """
    draft.competition["task"] = "segmentation"
    draft.competition["labels"] |= {"kind": "rle", "rle_column": column}
    guess = guess_of(found, table, match, column, train)
    draft.competition["labels"]["dialect"] = guess.dialect
    if guess.size is not None:
        draft.competition["labels"]["size"] = [*guess.size]
    for line in guess.evidence:
        draft.say(line)
    if guess.question is not None:
        draft.ask("competition.labels.dialect", guess.question)
    images = _images_of(table.rows, match)
    of_class, names = mask_classes(table.rows, match, column)
    if names:
        _add_classes(draft, of_class, names)
    elif int(images.duplicated().sum()):
        _say_objects(draft, images)
    _ask_about_rest(draft, found, table, match, column, train)


def named_runs(
    rows: pd.DataFrame, match: IdMatch, of_sample: Collection[str]
) -> list[LabelCandidate]:
    """Return the columns whose name says that they hold masks, if their cells can be.

    Their cells alone may not tell: all are empty, or each mask is a single run.

    Args:
        rows: a table as text.
        match: how it names the images.
        of_sample: columns of the sample submission that hold masks.
    """
    candidates = []
    for name in map(str, rows.columns):
        cells = list(rows[name])
        said = name in of_sample or (_NAMES_RUNS.search(name) and any(map(bool, cells)))
        fits = all(map(is_empty, cells)) or is_mask_column(cells)
        if name != match.column and said and fits:
            filled = sum(not is_empty(cell) for cell in cells)
            text = f"column `{name}`: masks in {filled:,} of {len(cells):,} rows"
            form = {"kind": "rle", "rle_column": name}
            task = {"task": "segmentation"}
            candidates.append(LabelCandidate("rle", (name,), task, form, text, (), 1.5))
    return candidates


def guess_of(
    found: FoundFiles, table: Table, match: IdMatch, column: str, train: Sequence[Path]
) -> DialectGuess:
    """Return what is known about the dialect of a column.

    Args:
        found: the files of the folder.
        table: a table of masks.
        match: how it names the images.
        column: its column with the encodings.
        train: images that it names.
    """
    paths = {
        plain_id(image_id_of(found.data, path, match.pattern), match.ignores): path
        for path in train
    }
    images = _images_of(table.rows, match)
    cells = table.rows[column]
    filled = [place for place, cell in enumerate(cells) if not is_empty(cell)]
    step = max(1, -(-len(filled) // _MOST_CELLS))
    places = filled[::step]
    picked = [paths.get(plain_id(images.iloc[place], match.ignores)) for place in places]
    return guess_dialect(
        [cells.iloc[place] for place in places], list(map(_size, picked)), _reader(picked)
    )


@cache
def _size(path: Path | None) -> tuple[int, int] | None:
    if path is None:
        return None
    try:
        header = read_header(path)
    except ImageError:
        return None
    return header.height, header.width


def _reader(paths: Sequence[Path | None]) -> Callable[[int], NDArray[Any] | None]:
    def image(number: int) -> NDArray[np.uint8] | None:
        path = paths[number]
        if path is None:
            return None
        try:
            return read_image(path)
        except ImageError:
            return None

    return image


def _images_of(rows: pd.DataFrame, match: IdMatch) -> pd.Series:
    """Return the id of the image of each row."""
    ids = rows[match.column].str.strip()
    return ids.str.rsplit(match.separator, n=1).str[0] if match.joined else ids


def mask_classes(rows: pd.DataFrame, match: IdMatch, rle: str) -> tuple[str | None, list[str]]:
    """Return the column with the classes of masks, None without, and the sorted class names.

    Args:
        rows: a table whose rows are masks.
        match: how it names the images.
        rle: its column of run-length encodings.
    """
    ids = rows[match.column].str.strip()
    if match.joined:
        return None, sorted({*ids.str.rsplit(match.separator, n=1).str[1].dropna()})
    several = ids.duplicated().any()
    for column in rows.columns:
        cells = rows[column].str.strip()
        says_so = str(column).lower().startswith(("class", "categor"))
        few = 2 <= cells.nunique() <= max(2, len(cells) // (2 if says_so else 3))
        named = column not in (match.column, rle) and few and not (cells == "").any()
        named = named and bool(several or says_so)  # an image may have one mask of few classes
        once = not pd.DataFrame({"image": ids, "class": cells}).duplicated().any()
        if named and (once or str(column).lower().startswith(("class", "label", "categor"))):
            return str(column), sorted({*cells})
    return None, []


def _add_classes(draft: CompetitionDraft, of_class: str | None, names: list[str]) -> None:
    where = "after the image in the id" if of_class is None else f"in the column `{of_class}`"
    draft.say(f"one mask for each of {len(names)} classes, {where}: {first_few(names, 10)}")
    if len(names) > MOST_MASKS:
        draft.competition |= {"task": "semantic-segmentation", "classes": ["background", *names]}
        draft.ask(
            "competition.task",
            f"{len(names)} classes are more than the {MOST_MASKS} masks that an image may have. "
            "Does each pixel have at most one class?",
        )
    else:
        draft.competition["classes"] = names
    if of_class is not None:
        draft.competition["labels"]["class_column"] = of_class


def _say_objects(draft: CompetitionDraft, images: pd.Series) -> None:
    counts = images.value_counts()
    several = int((counts > 1).sum())
    draft.objects = True
    draft.say(
        f"{plural(several, 'image has', 'images have')} several rows, up to {int(counts.max()):,}; "
        "they are merged into one mask per image"
    )


def _ask_about_rest(
    draft: CompetitionDraft,
    found: FoundFiles,
    table: Table,
    match: IdMatch,
    column: str,
    train: Sequence[Path],
) -> None:
    """Ask about images without a row, unless empty cells show that rows are of all images."""
    if match.ignores:
        return
    named = {*_images_of(table.rows, match)}
    bare = [path for path in train if image_id_of(found.data, path, match.pattern) not in named]
    if not bare:
        return
    count = plural(len(bare), "training image has", "training images have")
    if any(map(is_empty, table.rows[column])):
        draft.say(f"{count} no row and are left out; empty masks have empty rows")
        return
    draft.competition["unlabelled"] = "empty"
    draft.ask(
        "competition.unlabelled",
        f"{count} no row, and no row is empty. Are their masks empty (empty), or unknown (drop)?",
    )
