"""Recognises a competition in a folder of unknown files: images, masks, classes, label tables.

Whatever is uncertain becomes a question to the user.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from glob import escape
from pathlib import Path

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.data_folder import image_id_of, path_in, require_folder
from goldfold.competitions.group_columns import path_groups
from goldfold.competitions.group_rule import is_group
from goldfold.competitions.image import read_header
from goldfold.competitions.recognise_groups import add_groups_of_tables, without_groups
from goldfold.competitions.recognise_masks import is_mask_folder, mask_pattern
from goldfold.competitions.recognise_sample import add_sample
from goldfold.competitions.recognise_tables import (
    Table,
    best_dialect,
    flag_columns,
    label_table,
    mask_classes,
    names_column,
    open_table,
    rle_column,
    sample_table,
)
from goldfold.competitions.table_ids import Ids, match_ids
from goldfold.errors import ImageError, InputError, plural

IMAGES = frozenset({".dcm", ".png", ".jpg", ".jpeg"})
_TEST, _TRAIN = re.compile(r"test", re.IGNORECASE), re.compile(r"train|val", re.IGNORECASE)
_SPLITS = re.compile(r"(train|test|val|valid|validation)([_-].*)?", re.IGNORECASE)


def recognise(data: Path) -> CompetitionDraft:
    """Return a draft of the [competition] table for the files of a folder.

    Raises:
        InputError: there are no images, or no labels.
    """
    require_folder(data)
    images = sorted(
        path
        for path in data.rglob("*")
        if path.suffix.lower() in IMAGES and not path.name.startswith(".")
    )
    if not images:
        raise InputError(f"{data} and its folders contain no .dcm, .png, .jpg or .jpeg file.")
    tables = [
        open_table(path) for path in sorted(data.rglob("*.csv")) + sorted(data.rglob("*.tsv"))
    ]
    known = [table for table in tables if table is not None]
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in images:
        folders[path.parent].append(path)
    draft = CompetitionDraft({"title": data.name, "images": {}, "labels": {}, "submission": {}})
    masks = {folder for folder in folders if is_mask_folder(folder, data, folders)}
    pictures = {folder: paths for folder, paths in folders.items() if folder not in masks}
    labels = label_table([without_groups(table) for table in known])
    sample = sample_table(known, labels)
    if labels is not None:
        _from_table(draft, labels, pictures, data, known)
    elif masks:
        _from_masks(draft, masks, pictures, data)
    elif classes := _class_folders(pictures, data):
        _from_folders(draft, classes, pictures, data)
    else:
        raise InputError(
            f"{data} contains images but no labels: no CSV table with their names as ids, no "
            "folder of masks, no folders named after classes. Add the labels, or start from a "
            "preset."
        )
    if not draft.groups and draft.competition["images"].get("metadata") != "dicom":
        draft.questions.append(
            "Which images are of the same patient? If paths contain it, set images.facts, e.g. "
            '{ patient = "/(p\\\\d+)_" }, and folds.group = "patient"; otherwise folds may leak.'
        )
    add_sample(draft, sample)
    _add_shape(draft, images[:1] if labels is None else next(iter(pictures.values())), data)
    return draft


def _globs(folders: Sequence[Path], pictures: dict[Path, list[Path]], data: Path) -> list[str]:
    """Return globs for the images in the folders; deeply nested ones are `TOP/**/*.dcm`."""
    image_globs = []
    for folder in folders:
        inner = escape(folder.relative_to(data).as_posix())
        for ending in sorted({path.suffix for path in pictures[folder]}):
            parts = inner.split("/")
            nested = len(pictures[folder]) <= 2 and len(parts) > 1
            image_globs.append(f"{parts[0]}/**/*{ending}" if nested else f"{inner}/*{ending}")
    return [glob.removeprefix("./") for glob in dict.fromkeys(image_globs)]


def _split(pictures: dict[Path, list[Path]], data: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders of training images and those of test images, judged by their names."""
    test = [folder for folder in pictures if _TEST.search(folder.relative_to(data).as_posix())]
    return [folder for folder in pictures if folder not in test], test


def _add_images(
    draft: CompetitionDraft, pictures: dict[Path, list[Path]], data: Path
) -> list[Path]:
    train, test = _split(pictures, data)
    images = draft.competition["images"]
    images["train"], images["test"] = (_globs(folders, pictures, data) for folders in (train, test))
    counts = [sum(len(pictures[folder]) for folder in part) for part in (train, test)]
    draft.seen.append(f"{counts[0]:,} training and {counts[1]:,} test images, by folder names")
    if not test:
        draft.questions.append("Are some of the images test images? images.test is empty.")
    if any(path.suffix.lower() == ".dcm" for paths in pictures.values() for path in paths):
        images["metadata"] = "dicom"
    paths = [path for folder in train for path in pictures[folder]]
    of_paths = path_groups([path_in(data, path) for path in paths])
    draft.groups |= {name: values for name, values in of_paths.items() if is_group(name, values)}
    return paths


def _from_table(
    draft: CompetitionDraft,
    table: Table,
    pictures: dict[Path, list[Path]],
    data: Path,
    tables: Sequence[Table],
) -> None:
    train = _add_images(draft, pictures, data)
    labels, id_column = draft.competition["labels"], str(table.rows.columns[0])
    labels |= {"files": [table.path.relative_to(data).as_posix()], "id_column": id_column}
    ids = match_ids(table.rows[id_column].str.strip(), train, data)
    if ids.pattern is not None:
        draft.competition["images"]["id_pattern"] = ids.pattern
    draft.seen.append(
        f"{table.path.name}: {len(table.rows):,} rows, {ids.share:.0%} of them for these images"
    )
    images = [image_id_of(data, path, ids.pattern) for path in train]
    extras = add_groups_of_tables(draft.groups, tables, labels=table, images=images, ids=ids)
    if extras:
        draft.competition["tables"] = [
            {
                "file": path_in(data, extra.path),
                "id_column": extra.id_column,
                "columns": extra.columns,
            }
            for extra in extras
        ]
        draft.seen += [f"{extra.path.name}: further facts about the images" for extra in extras]
    column = rle_column(table)
    if column is not None:
        _rle_labels(draft, table, column, train, ids)
        return
    draft.competition["task"] = "classification"
    flags, names = flag_columns(table), names_column(table)
    if ids.joined and len(flags) == 1:
        parts = table.rows[id_column].str.strip().str.rsplit("_", n=1)
        classes = list(dict.fromkeys(parts.str[1]))
        labels |= {"kind": "long", "value_column": flags[0]}
        _class_questions(draft, classes, exclusive=False)
    elif flags:
        labels["kind"] = "wide"
        _class_questions(draft, flags, exclusive=False)
        if (table.rows[flags].astype(float).sum(axis=1) == 1).all():
            draft.questions.append("Each row has exactly one class. Should exclusive be true?")
    elif names is not None:
        labels |= {"kind": "column", "class_column": names}
        _class_questions(draft, sorted(set(table.rows[names].str.strip())), exclusive=True)


def _rle_labels(
    draft: CompetitionDraft, table: Table, column: str, train: Sequence[Path], ids: Ids
) -> None:
    labels = draft.competition["labels"]
    labels |= {"kind": "rle", "rle_column": column}
    draft.competition |= {"task": "segmentation", "metric": "dice"}
    dialect, words = best_dialect(table, column, train)
    labels["dialect"] = dialect
    draft.seen.append(words)
    draft.questions.append(
        "Are pixels counted down the columns (siim, kaggle) or along the rows (row-major)? The "
        "numbers do not tell. Check with `goldfold train preview RUN`, which outlines the masks."
    )
    draft.questions.append("Is the metric dice, or another one? docs/glossary.md lists them all.")
    of_class, names = mask_classes(table, ids, column)
    images = len(set(table.rows.iloc[:, 0].str.strip()))
    if names:
        where = "after _ in the id" if of_class is None else f"in the column {of_class}"
        draft.seen.append(f"several masks per image: {', '.join(names)} {where}")
        draft.competition["classes"] = names
        labels |= {} if of_class is None else {"class_column": of_class}
        draft.questions.append(
            'Is an image without a row empty (unlabelled = "empty"), or should it not be used for '
            "training (drop)? If only masks have rows, it is empty."
        )
    elif images < len(table.rows):
        again = plural(len(table.rows) - images, "row", "rows")
        draft.questions.append(
            f"{again} more than images: several masks of an image are merged. Is each row an "
            "object, and does the submission have one row per object, too? Then set "
            "submission.objects = true."
        )


def _from_masks(
    draft: CompetitionDraft, masks: set[Path], pictures: dict[Path, list[Path]], data: Path
) -> None:
    train = _add_images(draft, pictures, data)
    stems = {path.stem for path in train}
    named = [mask_pattern(folder, data, stems) for folder in sorted(masks)]
    patterns = list(dict.fromkeys(pattern.text for pattern in named if pattern is not None))
    if not patterns:
        raise InputError(
            f"the mask files in {data} are not named after training images (in folders other than "
            "those of test images). Name each mask after its image, or start from a preset."
        )
    draft.competition |= {"task": "segmentation", "metric": "dice"}
    draft.competition["labels"] = {"kind": "masks", "masks": [patterns]}
    draft.seen.append(f"mask files: {', '.join(patterns)}")
    if any(pattern is not None and pattern.several for pattern in named):
        draft.questions.append(
            "Images have several mask files, which are merged. Is each file a separate class? Then "
            "set competition.classes and labels.class_masks instead of labels.masks."
        )
    if len(patterns) > 1:
        draft.questions.append(
            "The mask files of an image are merged. Are they alternatives instead? Then write "
            "labels.masks = [[first], [second]]. Or is each folder a separate class? Then set "
            "competition.classes and labels.class_masks instead of labels.masks."
        )


def _class_folders(pictures: dict[Path, list[Path]], data: Path) -> list[str]:
    """Return the names of the innermost folders if they look like classes, otherwise none."""
    names = Counter(
        folder.name
        for folder in pictures
        if folder != data and not _SPLITS.fullmatch(folder.name) and len(pictures[folder]) > 2
    )
    return sorted(names) if 2 <= len(names) <= 50 else []


def _from_folders(
    draft: CompetitionDraft, classes: list[str], pictures: dict[Path, list[Path]], data: Path
) -> None:
    own = {folder: paths for folder, paths in pictures.items() if folder.name in classes}
    _add_images(draft, own, data)
    images = draft.competition["images"]
    for split in ("train", "test"):
        images[split] = list(
            dict.fromkeys(re.sub(r"[^/]+/(\*\.\w+)$", r"*/\1", glob) for glob in images[split])
        )
    draft.competition["task"] = "classification"
    draft.competition["labels"] = {"kind": "folders"}
    _class_questions(draft, classes, exclusive=True)
    if any(re.match(r"val", part, re.IGNORECASE) for folder in own for part in folder.parts):
        draft.questions.append("`val` is merged with the training images. Is that right?")


def _class_questions(draft: CompetitionDraft, classes: list[str], *, exclusive: bool) -> None:
    draft.competition |= {
        "classes": classes,
        "exclusive": exclusive,
        "metric": "accuracy" if exclusive else "neg-log-loss",
    }
    draft.seen.append(f"classes: {', '.join(classes)}")
    draft.questions.append(
        "What is the metric: accuracy, f1, auroc or neg-log-loss? Of two exclusive classes, the "
        "second is the positive one."
    )


def _add_shape(draft: CompetitionDraft, some: Sequence[Path], data: Path) -> None:
    sizes = set()
    for path in some[:20]:
        try:
            header = read_header(path, data)
        except ImageError:
            continue
        sizes.add((header.height, header.width))
    if sizes:
        words = ", ".join(f"{height} x {width}" for height, width in sorted(sizes)[:4])
        draft.seen.append(f"image sizes: {words}" + (", ..." if len(sizes) > 4 else ""))
