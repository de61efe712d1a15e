"""Folds of any CSV table, without a run: made, and audited."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.csv_text import read_whole_table
from goldfold.competitions.group_rule import coarsest, is_group, is_site, keeps_whole, naming
from goldfold.errors import InputError, did_you_mean, first_few, list_problems, plural
from goldfold.folds.audit import AuditReport, audit_folds
from goldfold.folds.frame import MissingGroupWarning, build_folds
from goldfold.folds.frame_strata import label_flags, stratum_values
from goldfold.folds.group_keys import group_keys
from goldfold.folds.strata import MOST_STRATA, NO_CLASS, number_strata
from goldfold.folds.table import read_fold_table
from goldfold.vocabulary import FoldKind

_UNIT = "\x1f"  # ASCII's separator of units; it occurs in no cell


@dataclass(frozen=True)
class TableFolds:
    """The folds of a table, one row per image in the order of the table."""

    table: pd.DataFrame
    """The columns of id, fold, group and strata under their own names; cells as text."""
    placed: pd.DataFrame
    """fold (int64) and group (str) of each image."""
    labels: dict[str, NDArray[np.bool_]]
    """Label -> (N,) whether each image has it."""
    notices: tuple[str, ...]
    """What the user should know: rows that were merged, images without a group."""


def fold_any_table(
    path: Path,
    id_column: str,
    group: str | None,
    strata: Sequence[str] = (),
    *,
    count: int = 5,
    seed: int = 0,
    separator: str | None = None,
    not_groups: Collection[str] = (),
    kind: FoldKind = "balanced",
    column: str | None = None,
) -> TableFolds:
    """Return folds of the images of a CSV table.

    Rows with the same id are one image, which has the labels of all its rows.

    Args:
        path: the table.
        id_column: column with the image id.
        group: column whose equal values stay together; "none" if the images are independent, None
            if that was not said.
        strata: columns of which each value is spread evenly; of a single column of more than 20
            different numbers, the quantiles.
        count: number of folds, 2 to 20.
        seed: draws among equally good splits.
        separator: what separates the labels of a cell, such as "|".
        not_groups: columns that look like groups but are none.
        kind: of folds, as `build_folds` has them.
        column: whose values are left out in turn (the group unless given), or that orders the
            images.

    Raises:
        InputError: the table is unreadable, a column does not exist, an image is of several groups,
            it is not clear what keeps images together, or whole groups cannot fill the folds.
    """
    if separator == "":
        raise InputError('expected a separator of labels such as "|", found an empty text.')
    own_group = None if group in (None, "none") else group
    if kind == "leave-one-out" and column is None:
        column = own_group
    placed_by = None if column in strata else column
    single = [name for name in dict.fromkeys([own_group, placed_by]) if name]
    rows = _read(path, [id_column, *single, *strata])
    filled = rows[rows[id_column].str.strip() != ""]
    if filled.empty:
        raise InputError(f"{path} has no row with a value in column {id_column!r}.")
    notices = []
    if left_out := len(rows) - len(filled):
        notices.append(
            f"{plural(left_out, 'row has', 'rows have')} no value in column {id_column!r} and "
            f"{'is' if left_out == 1 else 'are'} left out"
        )
    images = _images(filled, path, id_column, single, strata, separator)
    if len(images) < len(filled):
        notices.append(
            f"{len(filled):,} rows are {len(images):,} images (column {id_column!r}); an image has "
            "the labels of all its rows"
        )
    _refuse_open_groups(filled, path, {id_column, *strata, *not_groups}, id_column, own_group)
    typed = images.assign(**{name: _typed(images[name], count, separator) for name in strata})
    split_at = _UNIT if len(images) < len(filled) and strata else separator
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MissingGroupWarning)
        folds = build_folds(
            typed,
            own_group,
            list(strata) or None,
            count=count,
            seed=seed,
            strata_kind="classes",
            id_column=id_column,
            separator=split_at,
            kind=kind,
            column=column,
        )
    notices += [str(warning.message) for warning in caught]
    kinds: dict[Hashable, str] = dict.fromkeys(strata, "classes")
    labels = label_flags(stratum_values(typed, kinds, count, 1, split_at)) if strata else {}
    ids = images[id_column]
    groups = list(ids) if own_group is None else _own_groups(images[own_group], ids)
    shown = images.replace(_UNIT, separator or ";", regex=True)
    shown.insert(1, "fold", folds["fold"].to_numpy())
    placed = pd.DataFrame({"fold": folds["fold"].to_numpy(), "group": groups})
    return TableFolds(shown, placed, labels, tuple(notices))


def audit_any_table(
    path: Path,
    id_column: str | None = None,
    fold_column: str | None = None,
    groups: Sequence[str] = (),
    not_groups: Collection[str] = (),
) -> AuditReport:
    """Return the audit of a CSV with folds, against the other columns of the same table.

    Args:
        path: the table.
        id_column: its column with the image id; the first with a usual name unless given.
        fold_column: its column with the fold, likewise.
        groups: columns whose equal values must share a fold, beside those that look like groups.
        not_groups: columns that look like groups but are none.

    Raises:
        InputError: the table is unreadable or a column does not exist.
    """
    folds = read_fold_table(path, id_column, fold_column)
    rows = _read(path, [*groups, *not_groups])
    columns, sites = {}, []
    for name in map(str, rows.columns):
        values = group_keys(rows[name])
        same = values == list(folds["fold"]) or values == list(rows.get(id_column or "", []))
        looks_like_one = is_group(name, values) or naming(name) == "certain"
        if name not in groups and is_site(name, values):
            sites.append(name)
        if name in [*groups, *sites] or (looks_like_one and not same):
            columns[name] = dict(zip(folds["image_id"], values, strict=True))
    return audit_folds(folds, columns=columns, declined=not_groups, sites=sites)


def _read(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """Return all columns as text, or raise one error that names the needed ones it lacks."""
    rows = read_whole_table(path)
    columns = [str(name) for name in rows.columns]
    missing = [name for name in dict.fromkeys(needed) if name not in columns]
    if missing:
        problems = [f"no column {name!r}.{did_you_mean(name, columns)}" for name in missing]
        raise InputError(list_problems(f"{path} has the columns {', '.join(columns)}:", problems))
    return rows.reset_index(drop=True)


def _images(
    rows: pd.DataFrame,
    path: Path,
    id_column: str,
    single: Sequence[str],
    strata: Sequence[str],
    separator: str | None,
) -> pd.DataFrame:
    """Return one row per image, in order of appearance, with the labels of all its rows.

    Args:
        rows: the table.
        path: where it is, for messages.
        id_column: column with the image id.
        single: columns of which an image must have one value, such as the group.
        strata: columns of which it may have several.
        separator: what separates the labels of a cell.

    Raises:
        InputError: rows of an image have different values in a column of `single`, or a column is
            used twice or called fold.
    """
    kept = [id_column, *single, *strata]
    if len(set(kept)) < len(kept) or "fold" in kept:
        raise InputError(
            f"{path}: id, group and strata must be different columns, none of them called fold; "
            f"found {', '.join(kept)}."
        )
    rows = rows[kept]
    if not rows[id_column].duplicated().any():
        return rows.reset_index(drop=True)
    problems = []
    for name in single:
        known = rows[rows[name].str.strip() != ""].groupby(id_column)[name].unique()
        wrong = [f"{image} ({', '.join(own)})" for image, own in known.items() if len(own) > 1]
        if wrong:
            problems.append(
                f"{plural(len(wrong), 'image has', 'images have')} rows with different values in "
                f"column {name!r}: "
                f"{first_few(wrong)}"
            )
    if problems:
        remedy = "Mend them, or name another column (--group, --column)."
        raise InputError(list_problems(f"{path}:", problems, remedy))
    by_image = rows.groupby(id_column, sort=False)
    images = pd.DataFrame({id_column: list(by_image.groups)})
    for name in kept[1:]:
        joint = separator if name in strata else None
        images[name] = [_merged(cells, joint, name in strata) for _, cells in by_image[name]]
    return images


def _merged(cells: pd.Series, separator: str | None, several: bool) -> str:
    """Return the different values of the rows of an image, joined, or the only one it has."""
    parts = cells if separator is None else cells.str.split(separator, regex=False).explode()
    values = list(dict.fromkeys(part.strip() for part in parts if part.strip()))
    return _UNIT.join(values if several else values[:1])


def _refuse_open_groups(
    rows: pd.DataFrame, path: Path, known: Collection[str], id_column: str, group: str | None
) -> None:
    """Raise InputError where a column looks like a group that nothing was said about.

    Args:
        rows: the table.
        path: where it is, for messages.
        known: columns that are no groups.
        id_column: column with the image id.
        group: column that is kept together.
    """
    images = [f"image {image_id}" for image_id in rows[id_column]]
    chosen = images if group is None else _own_groups(rows[group], pd.Series(images))
    candidates = {
        str(name): group_keys(rows[name])
        for name in rows.columns
        if name not in known and name != group
    }
    names = list(
        coarsest(
            {
                name: values
                for name, values in candidates.items()
                if is_group(name, values) and not keeps_whole(chosen, values)
            }
        )
    )
    if names:
        named = shlex.quote(names[0]) if len(names) == 1 else "COLUMN"
        raise InputError(
            f"{path}: {first_few([repr(name) for name in names])} may say which images belong "
            f"together, such as those of one patient, and would be split. Add --group {named} to "
            f"keep images with equal values in one fold, or --not-group {named} if they are "
            "independent."
        )


def _typed(cells: pd.Series, count: int, separator: str | None) -> pd.Series:
    """Return what is spread of a column: its texts, or the quantiles of many different numbers.

    Cells without a value are a class of their own.
    """
    joints = {_UNIT, *([separator] if separator else [])}
    if not any(cells.str.contains(joint, regex=False).any() for joint in joints):
        filled = cells[cells.str.strip() != ""]
        numbers = pd.to_numeric(filled, errors="coerce")
        if np.isfinite(numbers).all() and numbers.nunique() > MOST_STRATA:
            quantiles = number_strata(numbers.astype(float).tolist(), count, 4)
            return pd.Series(quantiles, index=filled.index).reindex(
                cells.index, fill_value=NO_CLASS
            )
    return cells.where(cells.str.strip() != "", NO_CLASS)


def _own_groups(groups: pd.Series, ids: pd.Series) -> list[str]:
    return [group or image_id for group, image_id in zip(group_keys(groups), ids, strict=True)]
