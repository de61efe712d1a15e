"""Recognises COCO annotations: their outlines become a table of masks in the run directory."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path, PurePosixPath

from goldfold.competitions.coco_outlines import DIALECT, CocoMasks, is_coco, read_coco, write_masks
from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.recognise_files import FoundFiles
from goldfold.competitions.recognise_images import add_images
from goldfold.errors import first_few, plural
from goldfold.settings_masks import MOST_MASKS

TABLE = "coco-masks.csv"
"""Name of the table in the run directory."""


def recognise_coco(
    found: FoundFiles, masks: Collection[str], made: Path | None
) -> CompetitionDraft | None:
    """Return a draft for COCO annotations, None if there are none.

    Args:
        found: the files of the folder.
        masks: paths of masks, which are no images.
        made: run directory, in which the table of masks is written; None = it cannot be.

    Raises:
        InputError: a file of annotations is not complete.
    """
    documents = [path for path in found.documents if is_coco(path)]
    if not documents or made is None:
        return None
    draft = CompetitionDraft.empty(found.data.name, "COCO annotations")
    pictures = [path for path in found.images if found.name(path) not in masks]
    by_name = {path.name: path for path in pictures}
    if len(by_name) < len(pictures):
        draft.refuse("images of different folders have the same name; rename them")
        return draft
    content = CocoMasks()
    for path in documents:
        of_file = read_coco(path)
        content.categories += [n for n in of_file.categories if n not in content.categories]
        content.rows += of_file.rows
        content.boxes += of_file.boxes
        content.faults += of_file.faults
        masked = sum(bool(row[2]) for row in of_file.rows)
        draft.say(
            f"{found.name(path)}: {masked:,} outlines of {len(of_file.categories)} categories"
        )
    rows = [
        (PurePosixPath(name).stem, category, mask)
        for name, category, mask in content.rows
        if PurePosixPath(name).name in by_name
    ]
    if not any(mask for _, _, mask in rows):
        boxes = (
            f"{content.boxes:,} annotations are boxes" if content.boxes else "none has an outline"
        )
        draft.refuse(f"{boxes}; goldfold predicts no boxes")
        return draft
    _add_competition(draft, found, pictures, rows, content, made)
    return draft


def _add_competition(
    draft: CompetitionDraft,
    found: FoundFiles,
    pictures: list[Path],
    rows: list[tuple[str, str, str]],
    content: CocoMasks,
    made: Path,
) -> None:
    """Write the table of masks and describe it."""
    named = {name for name, _, _ in rows}
    labelled = [path for path in pictures if path.stem in named or found.split(path) == "test"]
    bare = len(pictures) - len(labelled)
    train, _ = add_images(draft, found, labelled, {found.name(path) for path in found.images})
    draft.score = sum(path.stem in named for path in train) / max(1, len(train) + bare)
    classes = content.categories if len(content.categories) > 1 else []
    draft.competition |= {"task": "segmentation"}
    labels = {
        "kind": "rle",
        "id_column": "ImageId",
        "rle_column": "EncodedPixels",
        "dialect": DIALECT,
    }
    if classes:
        labels["class_column"] = "Class"
        every = sorted(named)
        rows = [row for row in rows if row[1]]
        there = {(name, category) for name, category, _ in rows}
        rows += [(n, c, "") for n in every for c in classes if (n, c) not in there]
        draft.competition["classes"] = classes
    if len(classes) > MOST_MASKS:
        draft.refuse(
            f"{len(classes)} categories are more than the {MOST_MASKS} masks that an image may "
            "have (where each pixel has exactly one class, write one file of levels per image)"
        )
        return
    draft.made_table = draft.label_table = made / TABLE
    made.mkdir(parents=True, exist_ok=True)
    write_masks(draft.made_table, sorted(rows), with_class=bool(classes))
    draft.competition["labels"] = {**labels, "files": [str(draft.made_table)]}
    draft.say(
        f"their masks are written to {draft.made_table} ({len(rows):,} rows), dialect {DIALECT}"
    )
    left = {"annotations are boxes without an outline": content.boxes,
            "images are in no file of annotations": bare}  # fmt: skip
    for what, count in left.items():
        if count:
            draft.say(f"not used: {count:,} {what}")
    if content.faults:
        faults = plural(len(content.faults), "annotation is", "annotations are")
        draft.say(f"{faults} left out: {first_few(content.faults, 3)}")
