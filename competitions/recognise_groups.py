"""Finds what keeps images together in unknown files: columns, folders and names of patients."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.group_columns import values_by_image
from goldfold.competitions.group_rule import FLAGS, coarsest, is_group, naming
from goldfold.competitions.images_table import CLASSES, training_images
from goldfold.competitions.recognise_class_folders import named_like_patients
from goldfold.errors import first_few, plural

_FEWEST = 5
"""Folders or beginnings of names, below which they are no patients."""
_SHARED = 0.8
"""Share of the images that must share their beginning of the name with another."""
_ORIGINS = {
    "folder": ", the folder that an image lies in, which may be a patient",
    "name_start": ", what an image's name begins with, which may be a patient",
}
_PART = r"(?:\d{1,4}|left|right|[lr]|[LR]|os|od|OS|OD)"
_BEGINNING = re.compile(rf"(.*\d.*|[A-Za-z]{{1,3}}|.*[_-].+)[_-]{_PART}")
_OF_PATHS = rf"([^/]+)[_-]{_PART}\.[^./]+$"


def group_names(rows: pd.DataFrame, id_column: str) -> list[str]:
    """Return the columns of a table that look like groups, which are never labels.

    Args:
        rows: a table as text.
        id_column: its column with the ids of images.
    """
    ids = rows[id_column].str.strip()
    groups = []
    for name in map(str, rows.columns):
        if name == id_column:
            continue
        values = list(values_by_image(ids, rows[name]).values())
        flags = {value.lower() for value in values} <= FLAGS
        if is_group(name, values) or (naming(name) == "certain" and not flags):
            groups.append(name)
    return groups


def choose_group(draft: CompetitionDraft) -> dict[str, Any]:
    """Return group and ungrouped of [folds] as columns tell; ask where they do not decide."""
    tops = coarsest(draft.groups)
    for name in tops:
        origin = _ORIGINS.get(name, "")
        draft.say(f"images are kept together by {name}{origin}: {counted(draft.groups[name])}")
    if len(tops) > 1:
        draft.ask(
            "folds.group",
            f"which column keeps images together: {' or '.join(tops)}? List each other one in "
            "folds.not_groups.",
        )
    if not tops:
        return {"group": "none"}
    group = next(iter(tops))
    values = draft.groups[group]
    empty = values.count("")
    if not empty:
        return {"group": group}
    draft.ask(
        "folds.ungrouped",
        f"{plural(empty, 'training image has', 'training images have')} no value of {group}, of "
        f"{len(values):,}. Is each of them a group of its own (single)? If not, fill in the values "
        "(competition.images.facts or [[competition.tables]]).",
    )
    return {"group": group, "ungrouped": "single"}


def counted(values: Sequence[str]) -> str:
    """Return how many values a column has, and how many of them have several images.

    >>> counted(["a", "a", "b"])
    '2 values, 1 with several images (a, b)'
    """
    images = Counter(value for value in values if value)
    repeated = sum(count > 1 for count in images.values())
    values_in_words = plural(len(images), "value", "values")
    return f"{values_in_words}, {repeated:,} with several images ({first_few([*images], 2)})"


def add_groups_of_paths(draft: CompetitionDraft, names: Sequence[str]) -> None:
    """Add folders or beginnings of names that look like patients, where nothing else is known.

    Args:
        draft: receives images.facts, the group and the evidence.
        names: paths of the training images below the data folder.
    """
    levels = _patient_folders(names)
    classes = draft.competition.get("classes", [])
    if levels:
        level = levels[0]
        values = [PurePosixPath(name).parts[-1 - level] for name in names]
        if not {*values} <= {*classes}:
            pattern = f"([^/]+)/{'[^/]+/' * (level - 1)}[^/]+$"
            _add(draft, "folder", pattern, values)
            return
    matches = [re.search(_OF_PATHS, name) for name in names]
    stems = [PurePosixPath(name).stem for name in names]
    if not all(_BEGINNING.fullmatch(stem) for stem in stems):
        return
    values = [match.group(1) if match else "" for match in matches]
    images = Counter(values)
    shared = sum(count for count in images.values() if count > 1)
    many = len(images) >= _FEWEST and shared >= _SHARED * len(names)
    if many and not _are_labels(draft, values):
        _add(draft, "name_start", _OF_PATHS, values)


def _are_labels(draft: CompetitionDraft, values: Sequence[str]) -> bool:
    """Return whether values and classes of the images tell the same: they are no patients."""
    if draft.images is None or CLASSES not in draft.images:
        return False
    labels = list(training_images(draft.images)[CLASSES])
    return len({*zip(values, labels, strict=True)}) == len({*values}) == len({*labels})


def _add(draft: CompetitionDraft, name: str, pattern: str, values: list[str]) -> None:
    draft.competition["images"].setdefault("facts", {})[name] = pattern
    draft.groups[name] = values


def _patient_folders(names: Sequence[str]) -> list[int]:
    """Return the levels of folders that look like patients, 1 = the innermost, outermost first."""
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    levels = []
    for level in range(1, min(map(len, folders), default=0) + 1):
        counts = Counter(parts[-level] for parts in folders)
        several = sum(count for count in counts.values() if count > 1)
        if (
            len(counts) >= _FEWEST
            and several >= _SHARED * len(names)
            and named_like_patients([*counts])
        ):
            levels.append(level)
    return levels[::-1]
