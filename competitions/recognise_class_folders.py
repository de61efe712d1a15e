"""Recognises classes that folders are named after, and tells them from folders of patients."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from goldfold.competitions.competition_draft import Choices, CompetitionDraft
from goldfold.competitions.data_folder import image_id_of
from goldfold.competitions.recognise_files import FoundFiles, split_word
from goldfold.competitions.recognise_ids import ShortIds
from goldfold.competitions.recognise_images import add_images
from goldfold.competitions.table_ids import match_columns
from goldfold.errors import first_few, plural

MOST_CLASSES = 200
_DEEPEST = 9
"""Parts of a path that an id may have."""
_FEWEST_IMAGES = 2.5
"""Mean number of images of a class, below which folders are no classes."""
_ID = re.compile(r"(?=(.*\d){3})[\w.\- ]+|[A-Za-z]{0,8}[_-]?\d+")
_CHUNK = re.compile(
    r"(images?|img|data|part|batch|chunk|set|fold|folder|archive|dir|split)s?[\W_]*\d*", re.I
)
_CLASS = re.compile(
    r"(class|cls|grade|stage|type|label|category|level|score|kl|bi-?rads|isup|kind|c)[\W_]*\d+",
    re.I,
)
_NUMBERED = 4
"""Folders whose names differ in a number only, from which they are videos or patients."""
_NUMBER = re.compile(r"\d{1,2}")


def recognise_class_folders(
    found: FoundFiles, masks: Collection[str], choices: Choices
) -> CompetitionDraft | None:
    """Return a draft for classes as folders, None if no folders are named like classes.

    Args:
        found: the files of the folder.
        masks: paths of masks, which are no images.
        choices: what the user chose.
    """
    pictures = [path for path in found.images if found.name(path) not in masks]
    pictures = [path for path in pictures if found.folders(path)]
    levels = class_levels([found.folders(path) for path in pictures])
    if not levels:
        return None
    level = choices.class_folder if choices.class_folder in levels else min(levels)
    own = [
        path
        for path in pictures
        if found.split(path) == "test" or _name(found.folders(path), level) in levels[level]
    ]
    draft = CompetitionDraft.empty(found.data.name, "folders named after classes")
    train, test = add_images(draft, found, own, {*map(found.name, found.images)})
    _add_ids(draft, found, train, test)
    counts = Counter(_name(found.folders(path), level) for path in train)
    classes = sorted(counts)
    if len(classes) < 2:
        return None
    draft.competition |= {"task": "classification", "classes": classes, "exclusive": True}
    draft.competition["labels"] = {"kind": "folders"}
    if level > 1:
        draft.competition["labels"]["class_folder"] = level
    draft.score = len(train) / max(1, sum(map(found.is_train, pictures)))
    listed = first_few([f"{name} ({counts[name]:,})" for name in classes], 10)
    draft.say(f"folders named after {len(classes)} classes: {listed}")
    if len(levels) > 1 and choices.class_folder is None:
        named = [f"{place} = {first_few(sorted(levels[place]), 3)}" for place in sorted(levels)]
        draft.ask(
            "competition.labels.class_folder",
            f"which folders are the classes, counted from the file upwards: {'; '.join(named)}? "
            "For another one than the first, write the settings anew: goldfold init --from ... "
            "--set competition.labels.class_folder=NUMBER --overwrite",
        )
    if all(_NUMBER.fullmatch(name) for name in classes) and len(classes) > 2:
        classes.sort(key=int)
        draft.ask_grades(classes)
    rest = len(pictures) - len(own)
    if rest:
        draft.say(f"{plural(rest, 'image', 'images')} outside these folders not used")
    return draft


def _add_ids(
    draft: CompetitionDraft, found: FoundFiles, train: Sequence[Path], test: Sequence[Path]
) -> None:
    """Add a pattern of ids: as the sample submission has them, or with folders if names recur."""
    patterns: list[str | None] = []
    for sample in found.samples:
        match = next(iter(match_columns(sample.rows.iloc[:, :1], test, found.data)), None)
        if match is not None and not (match.folders or match.joined or match.ignores):
            patterns.append(match.pattern)
    images = [*train, *test]
    for pattern in [*patterns, None]:
        if len({image_id_of(found.data, path, pattern) for path in images}) == len(images):
            draft.competition["images"] |= {"id_pattern": pattern} if pattern else {}
            return
    ids = ShortIds.of([found.name(path) for path in images], deepest=_DEEPEST)
    if ids is not None and ids.pattern:
        draft.competition["images"]["id_pattern"] = ids.pattern
        draft.say("names of files recur, so the folders above them are part of the ids")


def class_levels(folders: Sequence[tuple[str, ...]]) -> dict[int, list[str]]:
    """Return the levels of folders that are named like classes, 1 = the innermost -> names.

    Folders of patients and of parts of a download are no classes, nor are `train` and `test`.

    >>> class_levels([("train", "cat")] * 3 + [("train", "dog")] * 3)
    {1: ['cat', 'dog']}
    >>> class_levels([("TCGA_CS_4941",)] * 3 + [("TCGA_CS_4942",)] * 3)
    {}
    """
    levels = {}
    for level in range(1, max((len(parts) for parts in folders), default=0) + 1):
        counts = Counter(_name(parts, level) for parts in folders)
        counts.pop("", None)
        names = sorted(name for name in counts if not split_word([name]))
        of_level = sum(counts[name] for name in names)
        enough = of_level >= max(_FEWEST_IMAGES * len(names), len(folders) / 2)
        if 2 <= len(names) <= MOST_CLASSES and enough and not _are_ids(names):
            levels[level] = names
    return levels


def _name(folders: tuple[str, ...], level: int) -> str:
    return folders[-level] if level <= len(folders) else ""


def _are_ids(names: Sequence[str]) -> bool:
    """Return whether names of folders are those of patients or of parts, not of classes."""
    if all(_NUMBER.fullmatch(name) for name in names):
        numbers = sorted(map(int, names))
        return numbers[-1] - numbers[0] >= 2 * len(numbers)
    parts = sum(bool(_CHUNK.fullmatch(name)) for name in names)
    return named_like_patients(names) or parts > len(names) / 2


def named_like_patients(names: Sequence[str]) -> bool:
    """Return whether most names are numbers or codes, and are no parts of a download.

    >>> named_like_patients(["p01", "p02"]), named_like_patients(["images_001", "images_002"])
    (True, False)
    """
    ids = sum(
        bool(_ID.fullmatch(name)) and not _CHUNK.fullmatch(name) and not _CLASS.fullmatch(name)
        for name in names
    )
    other = [name for name in names if _CHUNK.fullmatch(name) or _CLASS.fullmatch(name)]
    forms = {re.sub(r"\d+", "0", name) for name in names}
    numbered = len(names) >= _NUMBERED and len(forms) == 1 and not other and "0" in forms.pop()
    return numbered or ids > len(names) / 2
