"""Which columns of an unknown table could be the labels, and of which kind: with the evidence.

Names only order the candidates; what a column can be follows from its cells. What cells cannot
tell is a question beside the candidate.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from goldfold.competitions.label_boxes import box_columns
from goldfold.competitions.label_candidate import ORDERED, LabelCandidate, is_attribute, weighed
from goldfold.competitions.label_columns import ColumnContent, content_of
from goldfold.competitions.mask_text import are_not_pairs
from goldfold.competitions.rle import is_empty
from goldfold.competitions.table_ids import IdMatch
from goldfold.errors import first_few, plural

_VOTES = 0.25
"""Share of images with rows of different classes up to which the rows may be votes."""
_RUNS = re.compile(r"\s*\[?\s*-?\d+([\s,]+\d+)+\s*\]?\s*")


def label_candidates(
    table: pd.DataFrame,
    match: IdMatch,
    groups: Collection[str] = (),
    sample: Collection[str] = (),
) -> list[LabelCandidate]:
    """Return what could be the labels, the likeliest first; [] if nothing could.

    Args:
        table: rows as text.
        match: which column names the images, and how.
        groups: columns of groups, which are no labels.
        sample: the value columns of the sample submission, which labels often share.
    """
    columns = [str(name) for name in table.columns if name != match.column and name not in groups]
    ids = table[match.column].str.strip()
    boxes = box_columns(table, columns)
    columns = [name for name in columns if name not in boxes]
    runs = [name for name in columns if _is_runs(table[name])]
    contents = [content_of(name, list(table[name])) for name in columns if name not in runs]
    candidates = [_rle(name, table[name]) for name in runs]
    candidates += _sets(contents, table)
    several = bool(ids.duplicated().any())
    for column in contents:
        share = _share_of_disagreement(ids, table[column.name]) if several else 0.0
        candidates += [_asked(c, share) for c in _single(column, several=share > 0 or bool(boxes))]
    if match.joined:
        candidates += _joined(match, contents, ids)
    if boxes and several:
        candidates = [_of_boxes(candidate, boxes) for candidate in candidates]
    sets = {
        name
        for candidate in candidates
        for name in candidate.columns
        if candidate.kind in ("chexpert", "soft") or candidate.competition.get("exclusive")
        if len(candidate.columns) > 1
    }
    candidates = [weighed(candidate, sample, sets) for candidate in candidates]
    return sorted(candidates, key=lambda candidate: -candidate.weight)


def _share_of_disagreement(ids: pd.Series, cells: pd.Series) -> float:
    """Return the share of the images whose rows differ in a column, 0 to 1."""
    different = cells.str.strip().groupby(ids).nunique() > 1
    return float(different.mean()) if len(different) else 0.0


def _asked(candidate: LabelCandidate, share: float) -> LabelCandidate:
    """Return a candidate that asks whether the rows of an image disagree or are all true.

    Where most images have a single class, rows that differ may as well be votes.
    """
    if candidate.labels.get("combine") != "any" or share > _VOTES:
        return candidate
    question = (
        "competition.labels.combine",
        f"{share:.0%} of the images have rows of different classes. Does such an image have all "
        'of them ("any"), or do its rows disagree about one? For one class per image, correct the '
        "rows.",
    )
    return replace(candidate, questions=(*candidate.questions, question))


def _is_runs(cells: pd.Series) -> bool:
    filled = [cell for cell in cells if not is_empty(cell) and cell.strip().lower() != "nan"]
    if are_not_pairs(filled):
        return False
    long = sum(len(re.findall(r"\d+", cell)) >= 4 for cell in filled)
    return bool(filled) and all(_RUNS.fullmatch(cell) for cell in filled) and long > len(filled) / 2


def _rle(name: str, cells: pd.Series) -> LabelCandidate:
    filled = sum(not is_empty(cell) for cell in cells)
    return LabelCandidate(
        "rle",
        (name,),
        {"task": "segmentation"},
        {"kind": "rle", "rle_column": name},
        f'column "{name}": run-length encodings in {filled:,} of {len(cells):,} rows',
    )


def _sets(contents: Sequence[ColumnContent], table: pd.DataFrame) -> list[LabelCandidate]:
    """Return the sets of columns that say yes or no of a class each."""
    likely = [column for column in contents if not is_attribute(column.name)]
    flags = [column for column in likely if column.content in ("flags", "uncertain")]
    shares = [column for column in likely if column.content == "shares"]
    candidates = []
    if any(column.content == "uncertain" for column in flags):
        candidates.append(_chexpert(flags))
    elif len(flags) > 1:
        candidates.append(_wide(flags, table))
    if len(shares) > 1:
        names = tuple(column.name for column in (*flags, *shares))
        candidates.append(
            LabelCandidate(
                "soft",
                names,
                {"task": "classification", "classes": list(names), "exclusive": False},
                {"kind": "wide", "soft": True},
                f"{len(names)} columns of numbers from 0 to 1: {first_few(names)}",
            )
        )
    return candidates


def _wide(flags: Sequence[ColumnContent], table: pd.DataFrame) -> LabelCandidate:
    names = tuple(column.name for column in flags)
    as_text = table[list(names)].apply(lambda cells: cells.str.strip().str.lower())
    yes = as_text.isin(["1", "1.0", "true"]).sum(axis=1)
    exclusive = len(names) > 1 and bool((yes == 1).all())
    how = "exactly one is 1 in every row" if exclusive else "any number is 1 in a row"
    return LabelCandidate(
        "wide",
        names,
        {"task": "classification", "classes": list(names), "exclusive": exclusive},
        {"kind": "wide"},
        f"{plural(len(names), 'column', 'columns')} of 0 and 1 ({first_few(names)}), {how}",
    )


def _chexpert(flags: Sequence[ColumnContent]) -> LabelCandidate:
    names = tuple(column.name for column in flags)
    blanks, unsure = (sum(getattr(c, of) for c in flags) for of in ("blanks", "unsure"))
    questions = []
    if unsure:
        questions.append(
            (
                "competition.labels.uncertain",
                f'{unsure:,} cells are -1 (uncertain). Do they count as "ones", "zeros" or a share '
                "such as 0.5? A table decides it for each class.",
            )
        )
    if blanks:
        text = f'{blanks:,} cells are empty. Do they mean that the class is absent ("zeros")?'
        questions.append(("competition.labels.blank", text))
    return LabelCandidate(
        "chexpert",
        names,
        {"task": "classification", "classes": list(names), "exclusive": False},
        {"kind": "wide"},
        f"{plural(len(names), 'column', 'columns')} of 0 and 1 ({first_few(names)}), with "
        f"{blanks:,} empty cells and {unsure:,} of -1",
        tuple(questions),
    )


def _single(column: ColumnContent, *, several: bool) -> list[LabelCandidate]:
    """Return what a column on its own could be; `several` = images have several rows."""
    if column.content in ("flags", "uncertain") and len(column.values) > 1:
        return [_flag(column)]
    if column.content == "whole":
        return [_grades(column), *([_lists(column)] if several else [])]
    if column.content in ("number", "shares"):
        return [_number(column)]
    if column.content == "lists" or (column.content == "names" and several):
        return [_lists(column)]
    return [_names(column)] if column.content == "names" else []


def _flag(column: ColumnContent) -> LabelCandidate:
    text = f'column "{column.name}": 0 and 1'
    text += f", {column.blanks:,} empty" if column.blanks else ""
    form = {"task": "classification", "classes": [column.name], "exclusive": False}
    return LabelCandidate("wide", (column.name,), form, {"kind": "wide"}, text)


def _grades(column: ColumnContent) -> LabelCandidate:
    name, values = column.name, list(column.values)
    question = (
        "competition.task",
        f'Are the numbers {values[0]} to {values[-1]} of "{name}" ordered grades (task = '
        '"grades") or kinds (task = "classification", exclusive = true)?',
    )
    return LabelCandidate(
        "grades",
        (name,),
        {"task": "grades", "classes": values},
        {"kind": "column", "class_column": name},
        f'column "{name}": whole numbers {values[0]} to {values[-1]}, '
        + (f"the rarest in {plural(column.least, 'row', 'rows')}" if column.least else "with gaps"),
        () if ORDERED.search(name) else (question,),
    )


def _number(column: ColumnContent) -> LabelCandidate:
    low, high = float(column.values[0]), float(column.values[-1])
    question = f'Which numbers can "{column.name}" have at all?'
    return LabelCandidate(
        "number",
        (column.name,),
        {"task": "regression", "number_range": [low, high]},
        {"kind": "column", "class_column": column.name},
        f'column "{column.name}": {len(column.values):,} different numbers from {low:g} to '
        f"{high:g}",
        (("competition.number_range", question),),
    )


def _names(column: ColumnContent) -> LabelCandidate:
    values = list(column.values)
    return LabelCandidate(
        "column",
        (column.name,),
        {"task": "classification", "classes": values, "exclusive": True},
        {"kind": "column", "class_column": column.name},
        f'column "{column.name}": {plural(len(values), "name", "names")} ({first_few(values)}), '
        f"the rarest in {plural(column.least, 'row', 'rows')}",
        _spellings(values),
    )


def _spellings(values: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the question about names that differ in case or spaces only."""
    plain: dict[str, list[str]] = {}
    for value in values:
        plain.setdefault(re.sub(r"[\s_]+", " ", value).strip().casefold(), []).append(value)
    same = [" and ".join(names) for names in plain.values() if len(names) > 1]
    if not same:
        return ()
    return (
        (
            "competition.labels.class_spelling",
            f'{first_few(same)} differ in case or spaces only. Are they the same class ("loose", '
            'and name each once in classes) or not ("exact")?',
        ),
    )


def _lists(column: ColumnContent) -> LabelCandidate:
    values = [value for value in column.values if value != column.none_name]
    labels: dict[str, Any] = {"kind": "lists", "class_column": column.name}
    text = f'column "{column.name}": {plural(len(values), "name", "names")} ({first_few(values)})'
    if column.content == "lists":
        labels["list_separator"] = column.separator
        text += f", several in a cell, separated by {column.separator!r}"
    else:
        labels["combine"] = "any"
        text += ", one in a row, several rows per image"
    if column.none_name is not None:
        labels["none_name"] = column.none_name
        text += f'; "{column.none_name}" never with others'
    questions: tuple[tuple[str, str], ...] = ()
    if column.blanks:
        ask = f'{column.blanks:,} cells are empty. Do they mean none of the classes ("zeros")?'
        questions = (("competition.labels.blank", ask),)
    form = {"task": "classification", "classes": values, "exclusive": False}
    return LabelCandidate("lists", (column.name,), form, labels, text, questions)


def _joined(
    match: IdMatch, contents: Sequence[ColumnContent], ids: pd.Series
) -> list[LabelCandidate]:
    """Return the columns of a table with one row per image and class, joined in its ids."""
    parts = ids.str.rsplit(match.separator, n=1)
    classes = [str(name) for name in dict.fromkeys(parts.str[1].dropna())]
    candidates = []
    for column in contents:
        if column.content in ("flags", "uncertain", "shares") and len(column.values) > 1:
            labels: dict[str, Any] = {"kind": "long", "value_column": column.name}
            labels |= {"soft": True} if column.content == "shares" else {}
            candidates.append(
                LabelCandidate(
                    "long",
                    (column.name,),
                    {"task": "classification", "classes": classes, "exclusive": False},
                    labels,
                    f'column "{column.name}": one row per image and class, '
                    f"{plural(len(classes), 'class', 'classes')} after {match.separator!r} "
                    f"({first_few(classes)})",
                )
            )
    return candidates


def _of_boxes(candidate: LabelCandidate, boxes: Sequence[str]) -> LabelCandidate:
    """Return classes of images where the rows are boxes."""
    if candidate.kind != "lists":
        return candidate
    text = f"{candidate.evidence}; rows are boxes ({first_few(boxes)}), which are not used: an "
    text += "image has the classes of its boxes"
    asked = tuple(pair for pair in candidate.questions if pair[0] != "competition.labels.combine")
    return replace(candidate, kind="boxes", evidence=text, questions=asked)
