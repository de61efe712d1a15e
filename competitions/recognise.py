"""What a folder of unknown files looks like: images, masks, classes, label tables, a sample.

Nothing is certain: what could also be otherwise is said as a question.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any

from goldfold.competitions.find import image_id_of, path_in, require_folder
from goldfold.competitions.group_columns import path_groups
from goldfold.competitions.group_rule import is_group
from goldfold.competitions.image import read_header
from goldfold.competitions.recognise_groups import add_groups_of_tables, without_groups
from goldfold.competitions.recognise_masks import is_mask_folder, mask_pattern
from goldfold.competitions.recognise_tables import (
    Ids,
    Table,
    best_dialect,
    flag_columns,
    label_table,
    mask_classes,
    match_ids,
    names_column,
    open_table,
    rle_column,
    sample_table,
)
from goldfold.errors import ImageError, InputError, plural

IMAGES = frozenset({".dcm", ".png", ".jpg", ".jpeg"})
_TEST, _TRAIN = re.compile(r"test", re.IGNORECASE), re.compile(r"train|val", re.IGNORECASE)
_SPLITS = re.compile(r"(train|test|val|valid|validation)([_-].*)?", re.IGNORECASE)


@dataclass
class Recognised:
    """A [competition] table in the making.

    Attributes:
        competition: its content.
        seen: what was found, one line each.
        questions: what nobody can tell from the files, one line each.
        groups: columns that look like groups: name -> value of each training image, "" = unknown.
    """

    competition: dict[str, Any]
    seen: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)


def recognise(data: Path) -> Recognised:
    """Return what the files of a folder look like.

    Raises:
        InputError: there are no images, or nothing that labels them.
    """
    require_folder(data)
    images = sorted(
        path
        for path in data.rglob("*")
        if path.suffix.lower() in IMAGES and not path.name.startswith(".")
    )
    if not images:
        raise InputError(f"{data} holds no .dcm, .png, .jpg or .jpeg file, in any folder.")
    tables = [
        open_table(path) for path in sorted(data.rglob("*.csv")) + sorted(data.rglob("*.tsv"))
    ]
    known = [table for table in tables if table is not None]
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in images:
        folders[path.parent].append(path)
    found = Recognised({"title": data.name, "images": {}, "labels": {}, "submission": {}})
    masks = {one for one in folders if is_mask_folder(one, data, folders)}
    pictures = {one: paths for one, paths in folders.items() if one not in masks}
    labels = label_table([without_groups(table) for table in known])
    sample = sample_table(known, labels)
    if labels is not None:
        _from_table(found, labels, pictures, data, known)
    elif masks:
        _from_masks(found, masks, pictures, data)
    elif classes := _class_folders(pictures, data):
        _from_folders(found, classes, pictures, data)
    else:
        raise InputError(
            f"{data} holds images, but nothing that labels them: no CSV table whose ids are their "
            "names, no folder of masks, no folders named by classes. Put the labels there, or "
            "begin with a preset."
        )
    if not found.groups and found.competition["images"].get("metadata") != "dicom":
        found.questions.append(
            "Which images are of one patient? If names tell, set images.facts, e.g. "
            '{ patient = "/(p\\\\d+)_" }, and folds.group = "patient"; if not, folds may leak.'
        )
    _add_sample(found, sample)
    _add_shape(found, images[:1] if labels is None else next(iter(pictures.values())), data)
    return found


def _globs(folders: Sequence[Path], pictures: dict[Path, list[Path]], data: Path) -> list[str]:
    """Return globs of the images in folders, nested ones as `TOP/**/*.dcm`."""
    found = []
    for folder in folders:
        inner = escape(folder.relative_to(data).as_posix())
        for ending in sorted({path.suffix for path in pictures[folder]}):
            parts = inner.split("/")
            nested = len(pictures[folder]) <= 2 and len(parts) > 1
            found.append(f"{parts[0]}/**/*{ending}" if nested else f"{inner}/*{ending}")
    return [glob.removeprefix("./") for glob in dict.fromkeys(found)]


def _split(pictures: dict[Path, list[Path]], data: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders of training and of test images, by their names."""
    test = [one for one in pictures if _TEST.search(one.relative_to(data).as_posix())]
    return [one for one in pictures if one not in test], test


def _add_images(found: Recognised, pictures: dict[Path, list[Path]], data: Path) -> list[Path]:
    train, test = _split(pictures, data)
    images = found.competition["images"]
    images["train"], images["test"] = (_globs(one, pictures, data) for one in (train, test))
    counts = [sum(len(pictures[one]) for one in part) for part in (train, test)]
    found.seen.append(f"{counts[0]:,} training and {counts[1]:,} test images, by folder names")
    if not test:
        found.questions.append("Are some of the images test images? images.test is empty.")
    if any(path.suffix.lower() == ".dcm" for paths in pictures.values() for path in paths):
        images["metadata"] = "dicom"
    paths = [path for one in train for path in pictures[one]]
    of_paths = path_groups([path_in(data, path) for path in paths])
    found.groups |= {name: values for name, values in of_paths.items() if is_group(name, values)}
    return paths


def _from_table(
    found: Recognised,
    table: Table,
    pictures: dict[Path, list[Path]],
    data: Path,
    tables: Sequence[Table],
) -> None:
    train = _add_images(found, pictures, data)
    labels, id_column = found.competition["labels"], str(table.rows.columns[0])
    labels |= {"files": [table.path.relative_to(data).as_posix()], "id_column": id_column}
    ids = match_ids(table.rows[id_column].str.strip(), train, data)
    if ids.pattern is not None:
        found.competition["images"]["id_pattern"] = ids.pattern
    found.seen.append(
        f"{table.path.name}: {len(table.rows):,} rows, {ids.share:.0%} of them of these images"
    )
    images = [image_id_of(data, path, ids.pattern) for path in train]
    extras = add_groups_of_tables(found.groups, tables, labels=table, images=images, ids=ids)
    if extras:
        found.competition["tables"] = [
            {
                "file": path_in(data, extra.path),
                "id_column": extra.id_column,
                "columns": extra.columns,
            }
            for extra in extras
        ]
        found.seen += [f"{extra.path.name}: further facts of the images" for extra in extras]
    column = rle_column(table)
    if column is not None:
        _rle_labels(found, table, column, train, ids)
        return
    found.competition["task"] = "classification"
    flags, names = flag_columns(table), names_column(table)
    if ids.joined and len(flags) == 1:
        parts = table.rows[id_column].str.strip().str.rsplit("_", n=1)
        classes = list(dict.fromkeys(parts.str[1]))
        labels |= {"kind": "long", "value_column": flags[0]}
        _class_questions(found, classes, exclusive=False)
    elif flags:
        labels["kind"] = "wide"
        _class_questions(found, flags, exclusive=False)
        if (table.rows[flags].astype(float).sum(axis=1) == 1).all():
            found.questions.append("Each row has exactly one class. Is exclusive = true meant?")
    elif names is not None:
        labels |= {"kind": "column", "class_column": names}
        _class_questions(found, sorted(set(table.rows[names].str.strip())), exclusive=True)


def _rle_labels(
    found: Recognised, table: Table, column: str, train: Sequence[Path], ids: Ids
) -> None:
    labels = found.competition["labels"]
    labels |= {"kind": "rle", "rle_column": column}
    found.competition |= {"task": "segmentation", "metric": "dice"}
    dialect, words = best_dialect(table, column, train)
    labels["dialect"] = dialect
    found.seen.append(words)
    found.questions.append(
        "Are pixels counted down the columns (siim, kaggle) or along the rows (row-major)? "
        "Nothing in the numbers tells. Look: `goldfold train preview RUN` outlines the masks."
    )
    found.questions.append("Is the metric dice, or another one? docs/glossary.md has them all.")
    of_class, names = mask_classes(table, ids, column)
    images = len(set(table.rows.iloc[:, 0].str.strip()))
    if names:
        where = "behind _ in the id" if of_class is None else f"in the column {of_class}"
        found.seen.append(f"several masks an image: {', '.join(names)} {where}")
        found.competition["classes"] = names
        labels |= {} if of_class is None else {"class_column": of_class}
        found.questions.append(
            'An image without a row: is it empty (unlabelled = "empty"), or not to be trained on '
            "(drop)? Where only masks have rows, it is empty."
        )
    elif images < len(table.rows):
        again = plural(len(table.rows) - images, "row", "rows")
        found.questions.append(
            f"{again} more than images: several masks of an image are united. Is each row an "
            "object, and the submission to have a row an object, too? Then set "
            "submission.objects = true."
        )


def _from_masks(
    found: Recognised, masks: set[Path], pictures: dict[Path, list[Path]], data: Path
) -> None:
    train = _add_images(found, pictures, data)
    stems = {path.stem for path in train}
    named = [mask_pattern(folder, data, stems) for folder in sorted(masks)]
    patterns = list(dict.fromkeys(pattern.text for pattern in named if pattern is not None))
    if not patterns:
        raise InputError(
            f"the mask files in {data} have no names of training images (in folders that are not "
            "of the test). Name each mask after its image, or begin with a preset."
        )
    found.competition |= {"task": "segmentation", "metric": "dice"}
    found.competition["labels"] = {"kind": "masks", "masks": [patterns]}
    found.seen.append(f"mask files: {', '.join(patterns)}")
    if any(pattern is not None and pattern.several for pattern in named):
        found.questions.append(
            "Images have several mask files, which are merged. Is each a class of "
            "its own? Then set competition.classes and labels.class_masks in place of labels.masks."
        )
    if len(patterns) > 1:
        found.questions.append(
            "The mask files of an image are merged. Are they alternatives instead? Then write "
            "labels.masks = [[first], [second]]. Or is each folder a class of its own? Then set "
            "competition.classes and labels.class_masks in place of labels.masks."
        )


def _class_folders(pictures: dict[Path, list[Path]], data: Path) -> list[str]:
    """Return the names of the last folders if they look like classes."""
    names = Counter(
        one.name
        for one in pictures
        if one != data and not _SPLITS.fullmatch(one.name) and len(pictures[one]) > 2
    )
    return sorted(names) if 2 <= len(names) <= 50 else []


def _from_folders(
    found: Recognised, classes: list[str], pictures: dict[Path, list[Path]], data: Path
) -> None:
    own = {one: paths for one, paths in pictures.items() if one.name in classes}
    _add_images(found, own, data)
    images = found.competition["images"]
    for split in ("train", "test"):
        images[split] = list(
            dict.fromkeys(re.sub(r"[^/]+/(\*\.\w+)$", r"*/\1", glob) for glob in images[split])
        )
    found.competition["task"] = "classification"
    found.competition["labels"] = {"kind": "folders"}
    _class_questions(found, classes, exclusive=True)
    if any(re.match(r"val", part, re.IGNORECASE) for one in own for part in one.parts):
        found.questions.append("`val` is taken together with the training images. Is that right?")


def _class_questions(found: Recognised, classes: list[str], *, exclusive: bool) -> None:
    found.competition |= {
        "classes": classes,
        "exclusive": exclusive,
        "metric": "accuracy" if exclusive else "neg-log-loss",
    }
    found.seen.append(f"classes: {', '.join(classes)}")
    found.questions.append(
        "What is the metric: accuracy, f1, auroc or neg-log-loss? Of two exclusive classes the "
        "second is the positive one."
    )


def _add_sample(found: Recognised, sample: Table | None) -> None:
    form = found.competition["submission"]
    if sample is None:
        if found.competition["images"]["test"]:
            found.questions.append("Where is the sample submission? submission.sample is empty.")
        return
    columns = [str(name) for name in sample.rows.columns]
    form |= {"sample": [f"**/{escape(sample.path.name)}"], "id_column": columns[0]}
    found.seen.append(f"sample submission: {sample.path.name}, columns {', '.join(columns)}")
    classes = found.competition.get("classes", [])
    if found.competition["task"] == "segmentation":
        _add_mask_sample(found, sample, classes)
        return
    if set(columns[1:]) <= set(classes):
        form["probability_columns"] = columns[1:]
    elif sample.rows.iloc[:, 0].str.rsplit("_", n=1).str[-1].isin(classes).all():
        form |= {"class_separator": "_", "probability_columns": columns[1:]}
    elif sample.rows[columns[1]].isin(classes).all():
        form["label_column"] = columns[1]
    else:
        form["probability_columns"] = columns[1:]
        found.questions.append(f"What does {columns[1]} of the sample hold: a probability, a name?")


def _add_mask_sample(found: Recognised, sample: Table, classes: Sequence[str]) -> None:
    """Say which columns of the sample hold the class and the masks."""
    form, columns = found.competition["submission"], [str(name) for name in sample.rows.columns]
    form["dialect"] = found.competition["labels"].get("dialect", "kaggle")
    rest = columns[1:]
    of_labels = found.competition["labels"].get("class_column")
    joined = sample.rows.iloc[:, 0].str.strip().str.rsplit("_", n=1).str[-1].isin(classes)
    bare = sample.rows.empty  # a header alone, as where the test set is hidden
    if classes and (of_labels is None if bare else joined.all()):
        form["class_separator"] = "_"
    elif classes:
        told = [one for one in rest if sample.rows[one].str.strip().isin(classes).all()]
        named = [one for one in told if one == of_labels] if bare else told
        form |= {"class_column": named[0]} if named else {}
        rest = [one for one in rest if one not in named[:1]]
        if not named:
            found.questions.append("Where does the sample name the class of a row?")
    written = found.competition["labels"].get("rle_column")
    form["rle_column"] = written if written in rest else rest[-1] if rest else columns[-1]
    if len(rest) > 1:
        found.questions.append(f"The sample has the columns {', '.join(columns)}: which hold what?")


def _add_shape(found: Recognised, some: Sequence[Path], data: Path) -> None:
    sizes = set()
    for path in some[:20]:
        try:
            header = read_header(path, data)
        except ImageError:
            continue
        sizes.add((header.height, header.width))
    if sizes:
        words = ", ".join(f"{height} x {width}" for height, width in sorted(sizes)[:4])
        found.seen.append(f"image sizes: {words}" + (", ..." if len(sizes) > 4 else ""))
