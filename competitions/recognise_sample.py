"""The columns of an unknown sample submission."""

from __future__ import annotations

from collections.abc import Sequence
from glob import escape

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.recognise_tables import Table


def add_sample(draft: CompetitionDraft, sample: Table | None) -> None:
    """Add the columns of the sample submission, if there is any, to the draft."""
    form = draft.competition["submission"]
    if sample is None:
        if draft.competition["images"]["test"]:
            draft.questions.append("Where is the sample submission? submission.sample is empty.")
        return
    columns = [str(name) for name in sample.rows.columns]
    form |= {"sample": [f"**/{escape(sample.path.name)}"], "id_column": columns[0]}
    draft.seen.append(f"sample submission: {sample.path.name}, columns {', '.join(columns)}")
    classes = draft.competition.get("classes", [])
    if draft.competition["task"] == "segmentation":
        _add_mask_sample(draft, sample, classes)
        return
    if set(columns[1:]) <= set(classes):
        form["probability_columns"] = columns[1:]
    elif sample.rows.iloc[:, 0].str.rsplit("_", n=1).str[-1].isin(classes).all():
        form |= {"class_separator": "_", "probability_columns": columns[1:]}
    elif sample.rows[columns[1]].isin(classes).all():
        form["label_column"] = columns[1]
    else:
        form["probability_columns"] = columns[1:]
        draft.questions.append(
            f"What does the column {columns[1]} of the sample contain: a probability or a name?"
        )


def _add_mask_sample(draft: CompetitionDraft, sample: Table, classes: Sequence[str]) -> None:
    """Add the columns with the class and the masks to the draft."""
    form, columns = draft.competition["submission"], [str(name) for name in sample.rows.columns]
    form["dialect"] = draft.competition["labels"].get("dialect", "kaggle")
    rest = columns[1:]
    of_labels = draft.competition["labels"].get("class_column")
    joined = sample.rows.iloc[:, 0].str.strip().str.rsplit("_", n=1).str[-1].isin(classes)
    bare = sample.rows.empty  # only a header, as for a hidden test set
    if classes and (of_labels is None if bare else joined.all()):
        form["class_separator"] = "_"
    elif classes:
        class_columns = [
            column for column in rest if sample.rows[column].str.strip().isin(classes).all()
        ]
        named = (
            [column for column in class_columns if column == of_labels] if bare else class_columns
        )
        form |= {"class_column": named[0]} if named else {}
        rest = [column for column in rest if column not in named[:1]]
        if not named:
            draft.questions.append("Where does the sample contain the class of a row?")
    written = draft.competition["labels"].get("rle_column")
    form["rle_column"] = written if written in rest else rest[-1] if rest else columns[-1]
    if len(rest) > 1:
        draft.questions.append(
            f"The sample has the columns {', '.join(columns)}: what does each contain?"
        )
