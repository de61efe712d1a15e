"""Recognises a table of labels: which table, which column names the images, which is the label."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.competitions.competition_draft import Choices, CompetitionDraft
from goldfold.competitions.data_folder import image_id_of
from goldfold.competitions.label_candidate import LabelCandidate, is_attribute
from goldfold.competitions.recognise_files import FoundFiles
from goldfold.competitions.recognise_folder_rows import with_row_per_image
from goldfold.competitions.recognise_images import add_images, add_tests_of_samples
from goldfold.competitions.recognise_label_tables import (
    ALIKE,
    LabelTableFound,
    id_match,
    is_rival,
    label_tables,
    labelled_images,
    named_images,
    sample_columns,
)
from goldfold.competitions.recognise_refusals import unusable_ids
from goldfold.competitions.recognise_runs import add_runs
from goldfold.errors import InputError, did_you_mean, first_few

_ORDERED = re.compile("diagnos", re.IGNORECASE)
"""Names of columns whose numbers are grades, as in APTOS 2019."""
UNLIKELY = 0.5
"""Weight of a candidate below which its column is hardly a label."""
DOUBT = 0.5
"""How much such a table counts less than other layouts."""
ANEW = "For another one than the first, write the settings anew: goldfold init --from ... --set"


def recognise_table(
    found: FoundFiles, masks: Collection[str], choices: Choices, made: Path | None = None
) -> CompetitionDraft | None:
    """Return a draft for labels in a table, None if no table has any.

    Args:
        found: the files of the folder.
        masks: paths of masks, which are no images.
        choices: what the user chose.
        made: run directory, for a table with one row per image where rows are folders; None = such
            tables are refused.

    Raises:
        InputError: a choice names no table or column.
    """
    pictures = [path for path in found.images if found.name(path) not in masks]
    tables = label_tables(found, pictures, choices)
    if not tables:
        return None
    best = tables[0]
    add_tests_of_samples(found, pictures, labelled_images(found, pictures, best))
    draft = CompetitionDraft.empty(found.data.name, "labels in a table")
    draft.label_table = best.table.path
    train, test = _add_images(draft, found, pictures, {*masks}, best)
    # Without the test images and the unlabelled validation images that were found meanwhile.
    match, rivals = id_match(best.table, train, found.data, choices)
    best = best if match is None else replace(best, match=match)
    if best.match.folders:
        per_image = with_row_per_image(draft, found, best, (train, test), made)
        best, rivals = (per_image or best), []
        draft.label_table = best.table.path
    draft.score = best.share
    draft.competition["labels"] = {"files": [_name_of(found, best)], **best.match.settings()}
    if best.match.pattern is not None:
        draft.competition["images"]["id_pattern"] = best.match.pattern
    draft.say(f"{found.name(best.table.path)}: {best.match.evidence}")
    if rivals:
        named = " or ".join(f"`{rival.column}`" for rival in (best.match, *rivals))
        draft.ask(
            "competition.labels.id_column",
            f"which column names the images: {named}? {ANEW} "
            "competition.labels.id_column=NAME --overwrite",
        )
    if reason := unusable_ids(best, train, found):
        draft.refuse(reason)
        return draft
    others = [table for table in tables[1:] if is_rival(table, best)]
    if others and choices.labels is None:
        named = ", ".join(found.name(table.table.path) for table in (best, *others))
        draft.ask(
            "competition.labels.files",
            f"which table has the labels: {named}? {ANEW} "
            "'competition.labels.files=[\"NAME\"]' --overwrite",
        )
    candidate = _choose(draft, found, best, choices)
    if candidate.kind == "rle":
        add_runs(draft, found, best.table, best.match, candidate.columns[0], train)
    else:
        _add_classes(draft, found, candidate)
        if candidate.weight < UNLIKELY and choices.class_columns is None:
            _doubt(draft, best.candidates, candidate)
    return draft


def _name_of(found: FoundFiles, labels: LabelTableFound) -> str:
    path = labels.table.path
    return found.name(path) if path.is_relative_to(found.data) else str(path)


def _doubt(
    draft: CompetitionDraft, candidates: Sequence[LabelCandidate], candidate: LabelCandidate
) -> None:
    """Prefer other layouts to a table whose best candidate is weak, and ask about its column.

    A column of numbers whose name says nothing against it is not asked about if it is the only one.
    """
    draft.score -= DOUBT
    plain = [c for c in candidates if not any(map(is_attribute, c.columns))]
    if plain == [candidate]:
        return
    names = " and ".join(f"`{name}`" for name in candidate.columns)
    setting = f"competition.{'classes' if candidate.kind == 'wide' else 'labels.class_column'}"
    if setting not in draft.questions:
        draft.ask(setting, f"{names} does not look like a label by its name. Is it the label?")


def _add_images(
    draft: CompetitionDraft,
    found: FoundFiles,
    pictures: Sequence[Path],
    masks: set[str],
    labels: LabelTableFound,
) -> tuple[list[Path], list[Path]]:
    """Add the images; validation images without a label are left out; return both splits."""
    ids = named_images(labels.table, labels.match)
    # A row belongs to the training image if a validation image has the same name.
    of_train = {
        image_id_of(found.data, path, labels.match.pattern)
        for path in pictures
        if found.is_train(path) and found.split(path) != "val"
    }
    unlabelled = [
        path
        for path in pictures
        if found.split(path) == "val"
        and image_id_of(found.data, path, labels.match.pattern) not in ids - of_train
    ]
    validation = [path for path in pictures if found.split(path) == "val"]
    labelled = len(validation) > len(unlabelled) or bool(labels.match.ignores)
    if validation and not labelled:
        draft.say(
            f"{len(validation):,} validation images have no row in {labels.table.path.name} and "
            f"are left out: {first_few([found.name(path) for path in validation], 2)}"
        )
    return add_images(draft, found, pictures, masks, validation=labelled)


def _choose(
    draft: CompetitionDraft, found: FoundFiles, labels: LabelTableFound, choices: Choices
) -> LabelCandidate:
    """Return the label as the user, the sample submission or the likelihood decides; else ask."""
    candidates = labels.candidates
    if choices.class_columns is not None:
        chosen = [_restricted(c, choices.class_columns) for c in candidates]
        fitting = [c for c in chosen if c is not None]
        if not fitting:
            known = [name for c in candidates for name in c.columns]
            named = ", ".join(choices.class_columns)
            raise InputError(
                f"{named} of {labels.table.path.name} cannot be the label; columns that can: "
                f"{', '.join(known)}.{did_you_mean(named, known)}"
            )
        return fitting[0]
    wanted = sample_columns(found)
    masks = [candidate for candidate in candidates if candidate.kind == "rle"]
    if masks and choices.task is None:
        candidates = masks
    in_sample = [_restricted(c, [n for n in c.columns if n in wanted]) for c in candidates]
    decided = [c for c in in_sample if c is not None]
    if decided:
        names = [f"`{name}`" for name in decided[0].columns]
        are = "is the label" if len(names) == 1 else "are the labels"
        draft.say(
            f"{first_few(names, 3)} of {labels.table.path.name} {are}: the sample submission has "
            f"{'it' if len(names) == 1 else 'them'}"
        )
        return decided[0]
    best = candidates[0]
    alike = [c for c in candidates[1:] if best.weight - c.weight < ALIKE]
    best, alike = _without_twins(draft, labels, best, alike)
    if alike:
        setting = (
            "competition.classes" if best.kind == "wide" else "competition.labels.class_column"
        )
        named = "; ".join(f"{', '.join(c.columns)} ({c.evidence})" for c in (best, *alike))
        draft.ask(
            setting,
            f"which column is the label: {named}? {ANEW} "
            "competition.labels.class_column=NAME --overwrite",
        )
    elif len(candidates) > 1:
        rest = [name for c in candidates for name in c.columns if name not in best.columns]
        if rest:
            draft.say(f"not taken for labels: {first_few(list(dict.fromkeys(rest)), 8)}")
    return best


def _without_twins(
    draft: CompetitionDraft,
    labels: LabelTableFound,
    best: LabelCandidate,
    alike: Sequence[LabelCandidate],
) -> tuple[LabelCandidate, list[LabelCandidate]]:
    """Return the label and its rivals without columns that say the same, such as numbers of names.

    Of a column of names and one of their numbers, the names are taken.
    """
    twins = [c for c in alike if _say_the_same(labels.table.rows, best, c)]
    if not twins:
        return best, list(alike)
    names = next((c for c in (best, *twins) if c.kind == "column"), best)
    same = [c.columns[0] for c in (best, *twins) if c.columns != names.columns]
    if same:
        draft.say(f"{first_few(same)} says the same as {names.columns[0]}, which is taken")
    return names, [c for c in alike if c not in twins]


def _say_the_same(rows: pd.DataFrame, left: LabelCandidate, right: LabelCandidate) -> bool:
    """Return whether each value of a single column always meets the same value of another."""
    if len(left.columns) != 1 or len(right.columns) != 1:
        return False
    pairs = rows[[left.columns[0], right.columns[0]]].drop_duplicates()
    return not pairs.iloc[:, 0].duplicated().any() and not pairs.iloc[:, 1].duplicated().any()


def _restricted(candidate: LabelCandidate, names: Sequence[str]) -> LabelCandidate | None:
    """Return a candidate with only the named columns, None if it has none of them."""
    columns = tuple(name for name in candidate.columns if name in names)
    if not columns or (columns != candidate.columns and candidate.kind not in SEVERAL_COLUMNS):
        return None
    if columns == candidate.columns:
        return candidate
    competition = {**candidate.competition, "classes": [*columns]}
    if competition.get("exclusive"):
        competition["exclusive"] = False
    return replace(candidate, columns=columns, competition=competition)


SEVERAL_COLUMNS = ("wide", "chexpert", "soft")
"""Kinds of labels with one column per class, of which some may be meant."""


def _add_classes(draft: CompetitionDraft, found: FoundFiles, candidate: LabelCandidate) -> None:
    """Add classes, grades or a number to a draft, with what the data cannot decide about them."""
    draft.competition |= candidate.competition
    draft.competition["labels"] |= candidate.labels
    draft.say(f"label: {candidate.evidence}")
    names = names_of_numbers(found, candidate.competition.get("classes", []))
    ordered = any(_ORDERED.search(name) for name in candidate.columns)
    for setting, question in candidate.questions:
        if setting == "competition.task" and not (names or ordered):
            draft.ask_grades(draft.competition["classes"])
        elif setting == "competition.number_range":
            draft.say("competition.number_range is that of the labels")
        elif setting != "competition.task":
            draft.ask(setting, question)
    if names:
        draft.competition |= {"task": "classification", "exclusive": True}
        file, of_numbers = names
        listed = first_few([f"{number} = {name}" for number, name in of_numbers.items()], 6)
        draft.say(f"{file} names the classes, which are therefore no grades: {listed}")


def names_of_numbers(
    found: FoundFiles, classes: Sequence[str]
) -> tuple[str, Mapping[str, str]] | None:
    """Return the JSON file that names numbered classes, and the names; None if there is none."""
    for path in found.documents:
        try:
            content: Any = json.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError):
            continue
        if not isinstance(content, dict):
            continue
        texts = {str(key): str(value) for key, value in content.items()}
        for named in (texts, {value: key for key, value in texts.items()}):
            if classes and {*named} == {*classes}:
                return found.name(path), {number: named[number] for number in classes}
    return None
