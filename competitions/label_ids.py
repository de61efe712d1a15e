"""Ids of label tables brought to those of the images, and what to say of those that are lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_text import read_whole_table
from goldfold.competitions.data_report import DataReport
from goldfold.competitions.id_forms import FORMS, ask_for_ignores, same_ids
from goldfold.competitions.table_ids import match_columns
from goldfold.errors import first_few, plural
from goldfold.settings import CompetitionSettings


def settle_ids(
    table: pd.DataFrame,
    known: Sequence[str],
    settings: CompetitionSettings,
    report: DataReport,
    name: str,
) -> pd.DataFrame:
    """Return the label table with the ids of the images where only the form differs.

    Args:
        table: image_id and labels, one row per image.
        known: ids of all images.
        settings: settings of the competition; `labels.id_ignores` says what may differ.
        report: receives what was changed, or the question whether it may be.
        name: name of the table.
    """
    ids, declared = list(table["image_id"]), settings.labels.id_ignores
    report.problems += ask_for_ignores(ids, known, declared, name)
    if not declared:
        return table
    same, _ = same_ids(ids, known, declared)
    if not same:
        return table
    words = " and ".join(FORMS[form].words for form in declared)
    shown = first_few([f"{old} = {new}" for old, new in same.items()], limit=3)
    report.notices.append(
        f"{plural(len(same), 'id', 'ids')} of {name} matched ignoring {words}: {shown}"
    )
    return table.assign(image_id=[same.get(image_id, image_id) for image_id in ids])


def judge_labelled(
    train: pd.DataFrame,
    labelled: pd.Series,
    data: Path,
    path: Path | None,
    settings: CompetitionSettings,
    report: DataReport,
) -> None:
    """Report which share of the training images has labels; too few are a problem.

    Args:
        train: image_id and path of the training images.
        labelled: whether each has a label.
        data: the data folder.
        path: path of the label table; None for other labels.
        settings: settings of the competition.
        report: receives a problem or a notice.
    """
    images, known = len(train), int(labelled.sum())
    if not images or known == images:
        return
    what = f"{known:,} of {plural(images, 'training image', 'training images')}"
    share = f" ({100 * known / images:.3g} %)"
    if known == 0 and path is not None:
        if not any("id_ignores" in problem for problem in report.problems):
            report.problems.append(_no_id_matches(train, data, path, settings))
        return
    if path is not None and settings.unlabelled != "empty":
        column = settings.labels.id_column
        report.notices.append(f"column {column} of {path.name} names {what}{share}")
    limit = settings.most_unlabelled
    if settings.unlabelled == "drop" and images - known > limit * images:
        report.problems.append(
            f"only {what}{share} have a label, the others would be left out. If that is right, set "
            f"most_unlabelled = {_above(1 - known / images):g} in [competition] of goldfold.toml; "
            'if they have no mask, unlabelled = "empty"'
        )


def _above(share: float) -> float:
    """Return the next hundredth from a share on.

    >>> _above(0.713)
    0.72
    """
    return min(1.0, -(-share * 100 // 1) / 100)


def _no_id_matches(
    train: pd.DataFrame, data: Path, path: Path, settings: CompetitionSettings
) -> str:
    """Return that no id names an image, with the column whose ids do."""
    labels, pattern = settings.labels, settings.images.id_pattern
    rows = read_whole_table(path)
    text = f"no id in column {labels.id_column} of {path.name} is a training image"
    if labels.id_column in rows.columns:
        ids = [cell for cell in dict.fromkeys(rows[labels.id_column].str.strip()) if cell]
        text += f": its ids are {first_few(ids, limit=3) or 'empty'}"
    text += f", those of the images {first_few(list(train['image_id']), limit=3)}"
    matches = match_columns(rows, [data / image for image in train["path"] if image], data)
    best = next((match for match in matches if not match.folders), None)
    if best is None:
        return f"{text}. No other column names images either; correct competition.labels.files."
    lines = [
        f"{name} = {_toml(value)}"
        for name, value in best.settings().items()
        if value != getattr(labels, name)
    ]
    where = f"set {' and '.join(lines)} in [competition.labels]" if lines else ""
    if best.pattern != pattern:
        own = f"id_pattern = '{best.pattern}'" if best.pattern else "no id_pattern"
        where += f"{' and ' if where else ''}set {own} in [competition.images]"
    return f"{text}. But {best.evidence}: {where} of goldfold.toml"


def _toml(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).replace("'", '"')
