"""Recognises rows of a submission that are groups of images, such as a side of a patient."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.data_folder import find_images, image_id_of
from goldfold.competitions.guessed_rows import guess_rows
from goldfold.competitions.recognise_files import FoundFiles, Table
from goldfold.competitions.table_ids import IdMatch, match_columns


def add_rows(draft: CompetitionDraft, found: FoundFiles) -> None:
    """Add competition.rows where the sample's ids are made of columns that groups of images share.

    The columns have to be known of training and of test images.

    Args:
        draft: receives rows, the tables with their columns, and the evidence.
        found: the files of the folder.
    """
    images = draft.competition["images"]
    form = draft.competition["submission"]
    if draft.is_of_masks or not form.get("sample") or form.get("class_separator"):
        return
    sample = next(table for table in found.samples if _is(table, form["sample"][0], found))
    wanted = {*sample.rows[form["id_column"]].str.strip()}
    pattern = images.get("id_pattern")
    train, test = (find_images(found.data, images[split]) for split in ("train", "test"))
    ids = [image_id_of(found.data, path, pattern) for path in test]
    if not ids or wanted & {*ids}:
        return
    of_train, of_test = (_tables(found, paths, pattern) for paths in (train, test))
    shared = _columns(of_train) & _columns(of_test)
    facts = _facts(of_test, ids, shared)
    for name, of_path in images.get("facts", {}).items():
        matches = (re.search(of_path, found.name(path)) for path in test)
        facts[name] = [match.group(1) if match else "" for match in matches]
    guess = guess_rows(facts, wanted)
    if guess is None:
        return
    draft.competition["rows"] = {**guess.settings, "aggregate": "mean"}
    draft.say(f"{guess.evidence}, which get the mean of their images (competition.rows)")
    _add_tables(draft, found, [*of_train, *of_test], guess.columns)


def _is(table: Table, name: str, found: FoundFiles) -> bool:
    return bool(table.path in found.data.glob(name))


def _tables(
    found: FoundFiles, paths: Sequence[Path], pattern: str | None
) -> list[tuple[Table, IdMatch]]:
    """Return the tables with one row for each of some images, and how they name them."""
    tables = []
    for table in found.tables:
        if table in found.samples:
            continue
        match = next(iter(match_columns(table.rows, paths, found.data)), None)
        if match is None or match.pattern != pattern or match.folders or match.joined:
            continue
        once = not table.rows[match.column].str.strip().duplicated().any()
        if once and match.images == match.of_images and not match.ignores:
            tables.append((table, match))
    return tables


def _columns(tables: Sequence[tuple[Table, IdMatch]]) -> set[str]:
    return {
        str(name) for table, match in tables for name in table.rows.columns if name != match.column
    }


def _facts(
    tables: Sequence[tuple[Table, IdMatch]], ids: Sequence[str], columns: set[str]
) -> pd.DataFrame:
    """Return the columns of some images as text, one row per image."""
    facts: dict[str, list[str]] = {}
    for table, match in tables:
        named = table.rows.set_index(table.rows[match.column].str.strip())
        for name in columns.intersection(map(str, table.rows.columns)) - {*facts}:
            facts[name] = [str(named[name].get(image_id, "")) for image_id in ids]
    return pd.DataFrame(dict(sorted(facts.items())), dtype=str)


def _add_tables(
    draft: CompetitionDraft,
    found: FoundFiles,
    tables: Sequence[tuple[Table, IdMatch]],
    columns: Sequence[str],
) -> None:
    """Add the tables that the columns come from to [[competition.tables]]."""
    entries: list[dict[str, Any]] = draft.competition.setdefault("tables", [])
    for table, match in tables:
        file = found.name(table.path)
        own = {name: name for name in columns if name in table.rows.columns}
        entry = next((entry for entry in entries if entry["file"] == file), None)
        if entry is not None:
            entry["columns"] = {**entry["columns"], **own}
        elif own:
            entries.append({"file": file, "id_column": match.column, "columns": own})
