"""Which column of a table names the images, and how: by name, with folders, joined with a class.

Every column is read in every way; the reading that finds most images is the best, of several the
plainest. Nothing is matched unless it is unambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from goldfold.competitions.data_folder import path_in
from goldfold.competitions.id_forms import FORMS, same_ids
from goldfold.competitions.image_kind import bare_name

NAME_WITH_ENDING = "([^/]+)$"
"""The id pattern of competitions whose ids end with `.jpg`."""
_SEPARATORS = ("_", "-", "/")
_DEEPEST = 6
_MOST_WORDS = 4
"""Words of a file's name that may be part of an id."""
_FOLDERS = 0.5
"""How much an image counts that is named by its folder."""
_SHOWN = 3


@dataclass(frozen=True)
class IdMatch:
    """How a column of a table names images.

    Attributes:
        column: name of the column.
        pattern: `images.id_pattern` with which it does; None = names without ending.
        separator: what separates image and class, "" where nothing is joined.
        ignores: what has to be ignored, for `labels.id_ignores`.
        images: number of images that are named.
        of_images: number of images.
        rows: number of different ids that name an image.
        of_rows: number of different ids.
        folders: ids name folders of several images, such as patients, not images.
        unnamed: some ids without an image, and some images without an id.
    """

    column: str
    pattern: str | None
    separator: str
    ignores: tuple[str, ...]
    images: int
    of_images: int
    rows: int
    of_rows: int
    folders: bool
    unnamed: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def joined(self) -> bool:
        """Whether a class follows the image."""
        return self.separator != ""

    @property
    def share(self) -> float:
        """Share of the different ids that name an image, 0 to 1."""
        return self.rows / self.of_rows if self.of_rows else 0.0

    @property
    def evidence(self) -> str:
        """What was counted, in words."""
        text = f"column `{self.column}` matches {self.images:,} of {self.of_images:,} files"
        if self.folders:
            text = f"column `{self.column}` names {self.images:,} files, several by one id"
        if self.joined:
            text += f", the class after {self.separator!r}"
        if self.ignores:
            text += f", ignoring {' and '.join(FORMS[name].words for name in self.ignores)}"
        ids, names = self.unnamed
        if ids:
            text += f"; without a file: {', '.join(ids)}"
        if names:
            text += f"; without a row: {', '.join(names)}"
        return text

    def settings(self) -> dict[str, Any]:
        """Return the entries of [competition.labels]."""
        entries: dict[str, Any] = {"id_column": self.column}
        if self.ignores:
            entries["id_ignores"] = list(self.ignores)
        if self.joined:
            entries["class_separator"] = self.separator
        return entries


def match_columns(table: pd.DataFrame, images: Sequence[Path], data: Path) -> list[IdMatch]:
    """Return how the columns of a table name images, the best first; [] if none does.

    Args:
        table: rows as text.
        images: the training images.
        data: folder to which paths are relative.
    """
    readings = list(_readings(images, data))
    ids = {
        str(column): [cell for cell in dict.fromkeys(table[column].str.strip()) if cell]
        for column in table.columns
    }
    matches = [
        match
        for column, names in ids.items()
        for reading in readings
        for match in _plain(column, names, reading)
    ]
    if not any(match.images == match.of_images and not match.folders for match in matches):
        matches += [
            match
            for column, names in ids.items()
            for reading in _loosely_read(readings)
            for match in _loose(column, names, reading)
        ]
    if not any(2 * match.images > match.of_images for match in matches):
        matches += [
            match
            for column, names in ids.items()
            for reading in _joined_readings(images, data)
            for match in _plain(column, names, reading)
        ]
    order = {column: place for place, column in enumerate(ids)}
    matches.sort(key=lambda match: (*_rank(match), order[match.column]))
    best: dict[str, IdMatch] = {}
    for match in matches:
        best.setdefault(match.column, match)
    return list(best.values())


@dataclass(frozen=True)
class _Reading:
    """The ids of the images by one pattern."""

    pattern: str | None
    ids: list[str]
    known: frozenset[str]

    @property
    def folders(self) -> bool:
        """Whether an id stands for several images."""
        return len(self.known) < len(self.ids)


def _readings(images: Sequence[Path], data: Path) -> Iterator[_Reading]:
    """Return the ids of the images in all ways, the plainest first."""
    paths = [path_in(data, path) for path in images]
    deepest = max((path.count("/") for path in paths), default=0)
    patterns: list[str | None] = [None, NAME_WITH_ENDING]
    for folders in range(1, min(deepest, _DEEPEST) + 1):
        parents = "/".join(["[^/]+"] * folders)
        patterns += [rf"({parents}/[^/]+)\.[^./]+$", f"({parents}/[^/]+)$"]
    for above in range(1, min(deepest, _DEEPEST) + 1):
        patterns.append("([^/]+)" + "/[^/]+" * above + "$")
    for pattern in patterns:
        ids = [_id_in(path, pattern) for path in paths]
        yield _Reading(pattern, ids, frozenset(ids))


def _joined_readings(images: Sequence[Path], data: Path) -> Iterator[_Reading]:
    """Yield the ids that join a folder's name and the file's, or its first words, by `_`.

    Such as case101_day20_slice_0001 for case101_day20/scans/slice_0001_266_266_1.50_1.50.png.
    """
    paths = [path_in(data, path) for path in images]
    deepest = min((path.count("/") for path in paths), default=0)
    words = ["[^/_.]+(?:_[^/_.]+)" + f"{{{more}}}" for more in range(_MOST_WORDS)]
    names = [r"([^/]+)\.[^./]+$", *(rf"({text})(?:_[^/]*)?\.[^./]+$" for text in words)]
    folders = [
        "/".join(["([^/]+)"] * joined + ["[^/]+"] * between)
        for joined in (1, 2)
        for between in range(deepest - joined + 1)
    ]
    for pattern in (f"{folder}/{name}" for folder in folders for name in names):
        ids = [_id_in(path, pattern) for path in paths]
        if len({*ids}) == len(ids):
            yield _Reading(pattern, ids, frozenset(ids))


def _id_in(path: str, pattern: str | None) -> str:
    """Return what `image_id_of` does, for a path below the data folder."""
    if pattern is None:
        return bare_name(PurePosixPath(path))
    match = re.search(pattern, path)
    return "_".join(group or "" for group in match.groups()) if match else path


def _loosely_read(readings: Sequence[_Reading]) -> list[_Reading]:
    """Return the plainest reading and that of the whole path, as far as they name single images."""
    named = [reading for reading in readings if not reading.folders]
    return [named[0], named[-1]] if len(named) > 1 else named


def _rank(match: IdMatch) -> tuple[float, ...]:
    """Return what sorts matches, the best first: most images, folders counting half; plainest."""
    plain = (len(match.ignores), match.joined, match.pattern is not None)
    return (-match.images * (_FOLDERS if match.folders else 1.0), *plain, -match.share)


def _plain(column: str, ids: Sequence[str], reading: _Reading) -> Iterator[IdMatch]:
    """Yield the match of ids as they are, and of ids that end with a class."""
    named = reading.known.intersection(ids)
    if named:
        yield _match(column, ids, named, named, reading)
    if reading.folders or len(named) == len(reading.known):
        return
    for separator in _SEPARATORS:
        fronts = {name: name.rpartition(separator)[0] for name in ids}
        joined = {name for name, front in fronts.items() if front in reading.known} - named
        images = {fronts[name] for name in joined}
        if len(images) > len(named):
            yield _match(column, ids, joined, images, reading, separator=separator)


def _loose(column: str, ids: Sequence[str], reading: _Reading) -> Iterator[IdMatch]:
    """Yield the match of ids that differ from names in form only."""
    same, ignores = same_ids(ids, sorted(reading.known))
    if same:
        exact = reading.known.intersection(ids)
        images = exact.union(same.values())
        yield _match(column, ids, exact.union(same), images, reading, ignores=ignores)


def _match(
    column: str,
    ids: Sequence[str],
    rows: Collection[str],
    images: Collection[str],
    reading: _Reading,
    *,
    separator: str = "",
    ignores: tuple[str, ...] = (),
) -> IdMatch:
    rows, images = set(rows), set(images)
    lost = [name for name in ids if name not in rows][:_SHOWN]
    unnamed = [name for name in reading.ids if name not in images][:_SHOWN]
    return IdMatch(
        column,
        reading.pattern,
        separator,
        ignores,
        sum(name in images for name in reading.ids),
        len(reading.ids),
        len(rows),
        len(ids),
        reading.folders,
        (tuple(lost), tuple(unnamed)),
    )
