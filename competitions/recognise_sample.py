"""The sample submission of unknown files: which columns hold what."""

from __future__ import annotations

from collections.abc import Sequence
from glob import escape

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.mask_text import is_mask_column
from goldfold.competitions.recognise_files import FoundFiles, Table

_NUMBERS = ("grades", "regression")


def add_sample(draft: CompetitionDraft, found: FoundFiles) -> None:
    """Add the columns of the sample submission, if there is any, to a draft."""
    sample = _largest(found, draft)
    if sample is None:
        if draft.competition["images"]["test"]:
            draft.say("no sample submission, so the submission is a plain table")
        return
    form = draft.competition["submission"]
    columns = [str(name) for name in sample.rows.columns]
    name = found.name(sample.path)
    form |= {"sample": [escape(name)], "id_column": columns[0]}
    others = [found.name(table.path) for table in found.samples if table is not sample]
    unused = f"; not used: {', '.join(others)}" if others else ""
    draft.say(f"sample submission: {name}, columns {', '.join(columns)}{unused}")
    if len(columns) < 2:
        del form["sample"]
        draft.say(f"{name} has no column for predictions and is not used")
    elif draft.competition["task"] in _NUMBERS:
        form["label_column"] = columns[1]
    elif draft.competition["task"] == "classification":
        _add_class_sample(draft, sample, columns)
    else:
        _add_mask_sample(draft, sample, columns)


def _largest(found: FoundFiles, draft: CompetitionDraft) -> Table | None:
    """Return the largest sample submission that is not the label table."""
    samples = [table for table in found.samples if table.path != draft.label_table]
    return max(samples, key=lambda table: len(table.rows), default=None)


def _add_class_sample(draft: CompetitionDraft, sample: Table, columns: list[str]) -> None:
    """Add the columns of probabilities, or the one with the name of the class."""
    form, classes = draft.competition["submission"], draft.competition.get("classes", [])
    rest = columns[1:]
    in_classes = [name for name in rest if name in classes]
    separator = draft.competition["labels"].get("class_separator", "_")
    joined = not sample.rows.empty and _classes_of(sample, separator) <= {*classes}
    named = not sample.rows.empty and {*sample.rows[rest[0]].str.strip()} <= {*classes}
    if in_classes:
        form["probability_columns"] = in_classes
    elif joined:
        form |= {"class_separator": separator, "probability_columns": rest[:1]}
    elif named or rest[0] == draft.competition["labels"].get("class_column"):
        form["label_column"] = rest[0]
    else:
        form["probability_columns"] = rest[:1]
        draft.ask(
            "competition.submission.probability_columns",
            f"what does the column `{rest[0]}` of {sample.path.name} hold: a probability "
            "(probability_columns), or the name of a class (then set "
            "competition.submission.label_column instead)?",
        )


def _classes_of(sample: Table, separator: str) -> set[str]:
    """Return what stands behind the last separator of the ids."""
    return {name.rpartition(separator)[2] for name in sample.rows.iloc[:, 0].str.strip()}


def _add_mask_sample(draft: CompetitionDraft, sample: Table, columns: list[str]) -> None:
    """Add the columns with class and mask, and the dialect of the masks."""
    form, labels = draft.competition["submission"], draft.competition["labels"]
    classes = draft.competition.get("classes", [])
    rest = _add_class_of_row(draft, sample, columns[1:], classes)
    written = labels.get("rle_column")
    masks = [name for name in rest if is_mask_column(list(sample.rows[name]))]
    if written in rest:
        form["rle_column"] = written
    else:
        form["rle_column"] = masks[0] if masks else rest[-1] if rest else columns[-1]
        unclear = [name for name in rest if name != form["rle_column"]]
        if unclear and not masks:
            draft.ask(
                "competition.submission.rle_column",
                f"which column of {sample.path.name} holds the masks: {', '.join(rest)}?",
            )
    if draft.objects:
        draft.ask(
            "competition.submission.objects",
            "images have several masks. Has the submission one row per object (true), or one per "
            "image (false)?",
        )
    if "dialect" in labels:
        form["dialect"] = labels["dialect"]
        form |= {"size": labels["size"]} if "size" in labels else {}
    elif "dialect" not in form:
        form["dialect"] = "kaggle"
        draft.ask(
            "competition.submission.dialect",
            "masks are read from files, so nothing shows how the submission counts their pixels: "
            "down the columns from 1 (kaggle), along the rows from 1 (row-major), or as another "
            "dialect of docs/glossary.md? The competition's page says it.",
        )


def _add_class_of_row(
    draft: CompetitionDraft, sample: Table, rest: list[str], classes: Sequence[str]
) -> list[str]:
    """Add where a row names its class; return the columns that are left."""
    if not classes:
        return rest
    form, labels = draft.competition["submission"], draft.competition["labels"]
    of_labels, separator = labels.get("class_column"), labels.get("class_separator", "_")
    joined = _classes_of(sample, separator) <= {*classes}
    bare = sample.rows.empty  # only a header, as for a hidden test set
    if of_labels is None if bare else joined:
        form["class_separator"] = separator
        return rest
    named = [
        column
        for column in rest
        if (column == of_labels if bare else sample.rows[column].str.strip().isin(classes).all())
    ]
    if not named:
        draft.ask(
            "competition.submission.class_column",
            f"where does a row of {sample.path.name} name its class: in which column, or in the id "
            "(then set competition.submission.class_separator)?",
        )
        return rest
    form["class_column"] = named[0]
    return [column for column in rest if column != named[0]]
