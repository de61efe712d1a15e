"""Recognises a table of labels: which table, which column names the images, which is the label."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from goldfold.competitions.competition_draft import Choices, CompetitionDraft
from goldfold.competitions.data_folder import image_id_of
from goldfold.competitions.label_candidate import LabelCandidate
from goldfold.competitions.recognise_files import FoundFiles
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
    found: FoundFiles, masks: Collection[str], choices: Choices
) -> CompetitionDraft | None:
    """Return a draft for labels in a table, None if no table has any.

    Args:
        found: the files of the folder.
        masks: paths of masks, which are no images.
        choices: what the user chose.

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
    train = _add_images(draft, found, pictures, {*masks}, best)
    # Without the test images and the unlabelled validation images that were found meanwhile.
    match, rivals = id_match(best.table, train, found.data, choices)
    best = best if match is None else replace(best, match=match)
    draft.score = best.share
    draft.competition["labels"] = {"files": [found.name(best.table.path)], **best.match.settings()}
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
    if best.match.folders:
        draft.refuse(
            f"the ids of {found.name(best.table.path)} name folders of several images each, such "
            "as patients, not images. Write a table with one row per image."
        )
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
            _doubt(draft, candidate)
    return draft


def _doubt(draft: CompetitionDraft, candidate: LabelCandidate) -> None:
    """Ask whether a column that is hardly a label by its name is one; prefer other layouts."""
    draft.score -= DOUBT
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
) -> list[Path]:
    """Add the images; validation images without a label are left out; return training images."""
    ids = named_images(labels.table, labels.match)
    unlabelled = [
        path
        for path in pictures
        if found.split(path) == "val"
        and image_id_of(found.data, path, labels.match.pattern) not in ids
    ]
    validation = [path for path in pictures if found.split(path) == "val"]
    labelled = len(validation) > len(unlabelled) or bool(labels.match.ignores)
    if validation and not labelled:
        draft.say(
            f"{len(validation):,} validation images have no row in {labels.table.path.name} and "
            f"are left out: {first_few([found.name(path) for path in validation], 2)}"
        )
    return add_images(draft, found, pictures, masks, validation=labelled)[0]


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
