"""Tables whose rows are folders of images, such as patients: written anew with a row per image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.data_folder import image_id_of
from goldfold.competitions.recognise_files import FoundFiles, Table
from goldfold.competitions.recognise_ids import ShortIds
from goldfold.competitions.recognise_label_tables import LabelTableFound
from goldfold.errors import plural
from goldfold.files import write_text

TABLE = "labels-of-images.csv"
_ID, _FOLDER = "image_id", "patient"
_DEEPEST = 9


def with_row_per_image(
    draft: CompetitionDraft,
    found: FoundFiles,
    labels: LabelTableFound,
    images: tuple[Sequence[Path], Sequence[Path]],
    made: Path | None,
) -> LabelTableFound | None:
    """Return the labels of each image, written to a table of the run directory.

    None if that cannot be: the ids do not name folders, or no run directory is given.

    Args:
        draft: receives the fact that names the folder of an image, and evidence.
        found: the files of the folder.
        labels: the table of folders.
        images: the training and the test images.
        made: run directory.
    """
    pattern, (train, test) = labels.match.pattern, images
    ids = ShortIds.of([found.name(path) for path in (*train, *test)], deepest=_DEEPEST)
    if made is None or ids is None or pattern is None or not pattern.startswith("([^/]+)/"):
        return None
    rows = labels.table.rows.copy()
    rows[labels.match.column] = rows[labels.match.column].str.strip()
    if rows[labels.match.column].duplicated().any() or _ID in rows.columns:
        return None
    id_pattern = ids.pattern or None
    names = pd.DataFrame(
        {
            _ID: [image_id_of(found.data, path, id_pattern) for path in train],
            labels.match.column: [_first(pattern, found.name(path)) for path in train],
        },
        dtype=str,
    )
    per_image = names.merge(rows, on=labels.match.column, how="inner")
    made.mkdir(parents=True, exist_ok=True)
    path = made / TABLE
    write_text(path, per_image.to_csv(index=False, lineterminator="\n"))
    draft.made_table, draft.made_of = path, labels.table.path
    draft.competition["images"].setdefault("facts", {})[_FOLDER] = pattern
    file = found.name(labels.table.path)
    count = plural(len(rows), "row", "rows")
    draft.say(
        f"{file}: column `{labels.match.column}` names folders of images ({count}); each image has "
        f"the label of its folder, written to {path}, and folders stay whole"
    )
    match = replace(
        labels.match, column=_ID, pattern=id_pattern, folders=False, images=len(per_image),
        rows=len(per_image), of_rows=len(per_image), unnamed=((), ()),
    )  # fmt: skip
    return LabelTableFound(Table(path, per_image), match, labels.candidates)


def _first(pattern: str, name: str) -> str:
    match = re.search(pattern, name)
    return match.group(1) if match else ""
