"""Which tables of unknown files label the images, and which of their columns name the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goldfold.competitions.competition_draft import Choices
from goldfold.competitions.data_folder import image_id_of
from goldfold.competitions.label_candidate import LabelCandidate
from goldfold.competitions.label_candidates import label_candidates
from goldfold.competitions.mask_text import is_mask_column
from goldfold.competitions.recognise_files import FoundFiles, Table, words_of
from goldfold.competitions.recognise_groups import group_names
from goldfold.competitions.recognise_runs import named_runs
from goldfold.competitions.table_ids import IdMatch, match_columns
from goldfold.errors import InputError, did_you_mean

ALIKE = 0.1
"""Difference of weights below which two columns are equally likely to be the label."""
_FILES = frozenset(
    {"image", "images", "img", "file", "filename", "filepath", "path", "picture", "scan", "slice"}
)
_LEAST_SHARE = 0.05
"""Share of the images that a table must name to be one of labels."""


@dataclass(frozen=True)
class LabelTableFound:
    """A table whose rows are about images, and the columns that may be the label.

    Attributes:
        table: the table.
        match: how it names the images.
        candidates: what may be the label, the likeliest first.
    """

    table: Table
    match: IdMatch
    candidates: list[LabelCandidate]

    @property
    def share(self) -> float:
        """Share of the training images that have a row."""
        return self.match.images / max(1, self.match.of_images)


def label_tables(
    found: FoundFiles, pictures: Sequence[Path], choices: Choices
) -> list[LabelTableFound]:
    """Return the tables that label training images, the likeliest first.

    Raises:
        InputError: a choice names no table or column.
    """
    train = [path for path in pictures if found.is_train(path)] or list(pictures)
    labelled = []
    tables = [table for table in found.tables if table not in found.samples] or found.tables
    if choices.labels is not None:
        tables = [table for table in found.tables if found.name(table.path) == choices.labels]
    files = {name for path in train for name in (path.name, path.stem, found.name(path))}
    for table in tables:
        if bare := [name for name in map(str, table.rows.columns) if name in files]:
            found.unreadable.append(
                f"{found.name(table.path)} has no header: its first line names the image "
                f"{bare[0]}. Write the names of the columns above it, such as id,label"
            )
            continue
        match = _match_of_split(found, table, train, choices)
        if match is None or match.images < _LEAST_SHARE * len(train):
            continue
        groups = group_names(table.rows, match.column)
        candidates = label_candidates(table.rows, match, groups, sample_columns(found))
        if not any(candidate.kind == "rle" for candidate in candidates):
            runs = named_runs(table.rows, match, _sample_runs(found))
            candidates = [*runs, *candidates]
        if candidates:
            labelled.append(LabelTableFound(table, match, candidates))
    if choices.labels is not None and not labelled:
        known = [found.name(table.path) for table in found.tables]
        raise InputError(
            f"competition.labels.files: {choices.labels!r} is no table of labels; the tables are "
            f"{', '.join(known) or 'none'}.{did_you_mean(choices.labels, known)}"
        )
    wanted = sample_columns(found)

    def likelihood(labels: LabelTableFound) -> tuple[float, ...]:
        asked = any(wanted & {*candidate.columns} for candidate in labels.candidates)
        return (asked, round(labels.share, 1), labels.candidates[0].weight, labels.match.of_rows)

    labelled.sort(key=likelihood, reverse=True)
    return [
        labels for labels in labelled
        if not wanted or likelihood(labels)[0] == likelihood(labelled[0])[0]
    ]  # fmt: skip


def _match_of_split(
    found: FoundFiles, table: Table, train: Sequence[Path], choices: Choices
) -> IdMatch | None:
    """Return how a table names the images; those of validation may have the same names again."""
    match, _ = id_match(table, train, found.data, choices)
    own = [path for path in train if found.split(path) != "val"]
    if match is None or not (match.ignores or match.folders) or not 0 < len(own) < len(train):
        return match
    of_own, _ = id_match(table, own, found.data, choices)
    plain = of_own is not None and not (of_own.ignores or of_own.folders)
    return of_own if plain else match


def _sample_runs(found: FoundFiles) -> set[str]:
    """Return the columns of the sample submissions that hold masks."""
    return {
        str(name)
        for table in found.samples
        for name in table.rows.columns[1:]
        if is_mask_column(list(table.rows[name]))
    }


def is_rival(other: LabelTableFound, best: LabelTableFound) -> bool:
    """Return whether another table labels as many images as likely."""
    weights = [labels.candidates[0].weight for labels in (other, best)]
    return other.share >= best.share - ALIKE and weights[0] >= weights[1] - ALIKE


def id_match(
    table: Table, train: Sequence[Path], data: Path, choices: Choices
) -> tuple[IdMatch | None, list[IdMatch]]:
    """Return how a table names the images, and other columns that name them as well.

    Of several columns that name as many images, one that is called after images is taken.
    """
    rows = table.rows
    if choices.id_column is not None and choices.id_column in rows.columns:
        rows = rows[[choices.id_column]]
    matches = match_columns(rows, train, data)
    if not matches:
        return None, []
    equal = [
        match
        for match in matches
        if match.images >= (1 - ALIKE) * matches[0].images
        and (match.folders, match.joined) == (matches[0].folders, matches[0].joined)
    ]
    likely = [_likeliness(match.column) for match in equal]
    best = equal[likely.index(max(likely))]
    same = [match for match, how in zip(equal, likely, strict=True) if how == max(likely)]
    cells = rows[best.column].str.strip()
    rivals = [match for match in same[1:] if not cells.equals(rows[match.column].str.strip())]
    return best, rivals


def _likeliness(column: str) -> int:
    """Return 2 for a column called after images or files, 1 for one of ids, 0 for others."""
    words = {*words_of(column)}
    return 2 if words & _FILES else 1 if words & {"id", "ids", "name", "code", "key"} else 0


def sample_columns(found: FoundFiles) -> set[str]:
    """Return the columns of the sample submissions, without those of ids."""
    return {str(name) for table in found.samples for name in table.rows.columns[1:]}


def labelled_images(
    found: FoundFiles, pictures: Sequence[Path], labels: LabelTableFound
) -> set[Path]:
    """Return the images that have a row; all of them if ids differ from names in form."""
    if labels.match.ignores:
        return {*pictures}
    ids, pattern = named_images(labels.table, labels.match), labels.match.pattern
    return {path for path in pictures if image_id_of(found.data, path, pattern) in ids}


def named_images(table: Table, match: IdMatch) -> set[str]:
    """Return the ids of images in a table, without the class that may follow them."""
    ids = {*table.rows[match.column].str.strip()}
    return {name.rpartition(match.separator)[0] for name in ids} if match.joined else ids
