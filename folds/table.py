"""Fold tables as CSV: ours, those of others, and a summary for people."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_text import read_whole_table
from goldfold.competitions.id_forms import without_ending
from goldfold.errors import InputError, list_problems
from goldfold.files import write_text

COLUMNS = ("image_id", "fold", "group", "stratum", "area_px")

ID_NAMES = (
    "image_id", "id", "fname", "filename", "file", "image", "image_name", "img_id", "img",
    "sop_instance_uid", "path", "file_path",
)  # fmt: skip
FOLD_NAMES = ("fold", "kfold", "folds", "fold_id", "fold_number", "split")


def write_folds(path: Path, folds: pd.DataFrame) -> None:
    """Write the table of `build_fold_table` as CSV, atomically; equal tables give equal bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    write_text(path, folds[list(COLUMNS)].to_csv(index=False, lineterminator="\n"))


def read_folds(path: Path) -> pd.DataFrame:
    """Return the table that `write_folds` wrote, with its types.

    Raises:
        InputError: the file is missing, is not a CSV, or is not such a table.
    """
    table = _read_csv(path)
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise InputError(
            f"{path} is not a goldfold fold table: expected the columns {', '.join(COLUMNS)}, "
            f"found {', '.join(table.columns)}. Build it again with `goldfold folds build`."
        )
    table = table[list(COLUMNS)]
    problems = [
        f"row {row + 2}: expected a whole number in column {column}, found {value!r}"
        for column in ("fold", "area_px")
        for row, value in enumerate(table[column])
        if not (value.isascii() and value.isdigit())
    ]
    if problems:
        remedy = "Build it again with `goldfold folds build`."
        raise InputError(list_problems(f"{path} has {len(problems)} bad cells:", problems, remedy))
    return table.astype({"fold": "int64", "area_px": "int64"})


def read_fold_table(
    path: Path,
    id_column: str | None = None,
    fold_column: str | None = None,
    known: Collection[str] = (),
    options: tuple[str, str] = ("--id-column", "--fold-column"),
) -> pd.DataFrame:
    """Return image_id and fold of any fold table, both as text, in the order of the file.

    Extensions such as .png are removed from the ids, and folders if the ids stay unique without
    them; an id that matches a known one is returned as the known one is written. Folds may be any
    text; `2.0` is read as `2`, an empty cell as "".

    Args:
        path: a CSV with a header.
        id_column: column with the image id; None = the first with a usual name.
        fold_column: column with the fold; None = the first with a usual name.
        known: known image ids.
        options: what names the two columns, for messages.

    Raises:
        InputError: the file is missing or is not a CSV, or it is not clear which column is which.
    """
    table = _read_csv(path)
    ids = _choose(table, path, id_column, usual=ID_NAMES, what="image id", option=options[0])
    folds = _choose(table, path, fold_column, usual=FOLD_NAMES, what="fold", option=options[1])
    if ids == folds:
        raise InputError(
            f"{path}: column {ids!r} cannot be both the image id and the fold. "
            f"Name two different columns with {options[0]} and {options[1]}."
        )
    return pd.DataFrame(
        {
            "image_id": _recognised(table[ids], known),
            "fold": [re.sub(r"^(-?\d+)\.0+$", r"\1", fold.strip()) for fold in table[folds]],
        }
    )


def bare_ids(names: Iterable[str]) -> list[str]:
    """Return ids without the extensions of image files, and without folders if they stay unique.

    >>> bare_ids(["train/a.png", "train/b.png"])
    ['a', 'b']
    >>> bare_ids(["case1/0.png", "case2/0.png", "1.2.840.10008"])
    ['case1/0', 'case2/0', '1.2.840.10008']
    """
    names = [without_ending(name.strip()) for name in names]
    without_folder = [re.split(r"[/\\]", name)[-1] for name in names]
    return without_folder if len(set(without_folder)) == len(set(names)) else names


def _recognised(names: Iterable[str], known: Collection[str]) -> list[str]:
    """Return each id as it is known, whether it is written with extension and folder or not."""
    stripped_names = [name.strip() for name in names]
    known_ids, by_bare = set(known), dict(zip(bare_ids(known), known, strict=True))
    return [
        name if name in known_ids else by_bare.get(bare, bare)
        for name, bare in zip(stripped_names, bare_ids(stripped_names), strict=True)
    ]


def fold_summary(folds: pd.DataFrame) -> pd.DataFrame:
    """Return a summary of a `build_fold_table` table, one row per fold.

    Columns: fold, images, patients (groups), non_empty (images), fraction (non-empty of all
    images, 0 to 1), area_q25, area_median, area_q75 (px, of the non-empty masks; NaN without any).
    """
    by_fold = folds.groupby("fold", sort=True)
    areas = folds.loc[folds["area_px"] > 0].groupby("fold")["area_px"]
    summary = pd.DataFrame({"images": by_fold.size(), "patients": by_fold["group"].nunique()})
    summary["non_empty"] = areas.size().reindex(summary.index, fill_value=0)
    summary["fraction"] = summary["non_empty"] / summary["images"]
    for name, quantile in (("area_q25", 0.25), ("area_median", 0.5), ("area_q75", 0.75)):
        summary[name] = areas.quantile(quantile).reindex(summary.index)
    return summary.reset_index()


def _read_csv(path: Path) -> pd.DataFrame:
    """Return all cells as text; spaces around the names in the header are removed."""
    if not path.exists():
        raise InputError(f"{path} does not exist. Name an existing fold table (CSV).")
    return read_whole_table(path).reset_index(drop=True)


def _choose(
    table: pd.DataFrame,
    path: Path,
    asked: str | None,
    *,
    usual: Sequence[str],
    what: str,
    option: str,
) -> str:
    """Return the name of a column: the one asked for, or the first with a usual name."""
    columns = [str(column) for column in table.columns]
    if asked is not None:
        if asked.strip() in columns:
            return asked.strip()
        raise InputError(
            f"{path} has no column {asked!r}. It has {', '.join(columns)}; name one with {option}."
        )
    plain = {_plain(column): column for column in reversed(columns)}
    for name in usual:
        if _plain(name) in plain:
            return plain[_plain(name)]
    raise InputError(
        f"cannot tell which column of {path} is the {what}: found {', '.join(columns)}, "
        f"none of them named like {', '.join(usual[:5])}. Name it with {option}."
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
