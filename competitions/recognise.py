"""What a folder of unknown files looks like: images, masks, classes, label tables, a sample.

Nothing is certain: what could also be otherwise is said as a question.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.competitions.csv_text import read_csv_text
from goldfold.competitions.find import require_folder
from goldfold.competitions.image import read_header
from goldfold.competitions.rle import DIALECTS, get_dialect, is_empty, parse
from goldfold.errors import ImageError, InputError, RunLengthError

IMAGES = frozenset({".dcm", ".png", ".jpg", ".jpeg"})
_LOOKED_AT = 300  # rows of a table, and images of a folder
_RUNS = re.compile(r"\s*-?\d+(\s+\d+)+\s*")
_MASKS = re.compile(r"mask|annotation|segmentation|label", re.IGNORECASE)
_TEST, _TRAIN = re.compile(r"test", re.IGNORECASE), re.compile(r"train|val", re.IGNORECASE)
_SAMPLE = re.compile(r"sample|submission", re.IGNORECASE)
_SPLITS = re.compile(r"(train|test|val|valid|validation)([_-].*)?", re.IGNORECASE)


@dataclass
class Recognised:
    """A [competition] table in the making.

    Attributes:
        competition: its content.
        seen: what was found, one line each.
        questions: what nobody can tell from the files, one line each.
    """

    competition: dict[str, Any]
    seen: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Table:
    """A CSV file: its columns as text, some rows of it."""

    path: Path
    rows: pd.DataFrame


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
    tables = [_open(path) for path in sorted(data.rglob("*.csv")) + sorted(data.rglob("*.tsv"))]
    known = [table for table in tables if table is not None]
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in images:
        folders[path.parent].append(path)
    found = Recognised({"title": data.name, "images": {}, "labels": {}, "submission": {}})
    masks = {one for one in folders if _is_mask_folder(one, data, folders)}
    pictures = {one: paths for one, paths in folders.items() if one not in masks}
    labels = _label_table(known)
    sample = _sample(known, labels)
    if labels is not None:
        _from_table(found, labels, pictures, data)
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
    _add_sample(found, sample)
    _add_shape(found, images[:1] if labels is None else next(iter(pictures.values())), data)
    return found


def _open(path: Path) -> _Table | None:
    """Return a table, None if it cannot be read."""
    try:
        header = path.open(encoding="utf-8-sig").readline().strip()
        columns = [cell.strip().strip('"') for cell in header.split(",")]
        return _Table(path, read_csv_text(path, columns))
    except (InputError, OSError, UnicodeDecodeError):
        return None


def _label_table(tables: Sequence[_Table]) -> _Table | None:
    """Return the largest table that is no sample and has labels."""
    named = [one for one in tables if not _SAMPLE.search(one.path.stem)]
    labelled = [one for one in named if _rle_column(one) or _flag_columns(one) or _names(one)]
    return max(labelled, key=lambda one: len(one.rows), default=None)


def _sample(tables: Sequence[_Table], labels: _Table | None) -> _Table | None:
    named = [one for one in tables if _SAMPLE.search(one.path.stem) and one is not labels]
    return max(named, key=lambda one: len(one.rows), default=None)


def _rle_column(table: _Table) -> str | None:
    """Return the column that holds run-length encodings."""
    for name in table.rows.columns[1:]:
        cells = table.rows[name].head(_LOOKED_AT)
        filled = [cell for cell in cells if not is_empty(cell)]
        if filled and all(_RUNS.fullmatch(cell) for cell in filled):
            return str(name)
    return None


def _flag_columns(table: _Table) -> list[str]:
    """Return the columns that hold 0 and 1 alone."""
    flags = {"0", "1", "0.0", "1.0"}
    return [
        str(name)
        for name in table.rows.columns[1:]
        if set(table.rows[name].head(_LOOKED_AT).str.strip()) <= flags and len(table.rows)
    ]


def _names(table: _Table) -> str | None:
    """Return the column of a few names that come again and again: classes."""
    for name in table.rows.columns[1:]:
        cells = table.rows[name].str.strip()
        kinds = cells.nunique()
        if 2 <= kinds <= min(50, len(cells) // 3) and not cells.str.fullmatch(r"[\d. ]*").any():
            return str(name)
    return None


def _is_mask_folder(folder: Path, data: Path, folders: dict[Path, list[Path]]) -> bool:
    if not _MASKS.search(folder.relative_to(data).as_posix()):
        return False
    others = {path.stem for one, paths in folders.items() if one != folder for path in paths}
    stems = [_bare(path.stem) for path in folders[folder]]
    return sum(stem in others for stem in stems) > len(stems) / 2


def _bare(stem: str) -> str:
    """Return the name of the image that a mask belongs to."""
    return re.sub(r"[_-]?(mask|label|seg|annotation)$", "", stem, flags=re.IGNORECASE)


def _globs(folders: Sequence[Path], pictures: dict[Path, list[Path]], data: Path) -> list[str]:
    """Return globs of the images in folders, nested ones as `TOP/**/*.dcm`."""
    found = []
    for folder in folders:
        inner = folder.relative_to(data).as_posix()
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
    else:
        found.questions.append(
            "Which images are of one patient? If names tell, set images.facts, e.g. "
            '{ patient = "/(p\\\\d+)_" }, and folds.group = "patient"; if not, folds may leak.'
        )
    return [path for one in train for path in pictures[one]]


def _from_table(
    found: Recognised, table: _Table, pictures: dict[Path, list[Path]], data: Path
) -> None:
    train = _add_images(found, pictures, data)
    labels, id_column = found.competition["labels"], str(table.rows.columns[0])
    labels |= {"files": [table.path.relative_to(data).as_posix()], "id_column": id_column}
    stems = {path.stem for path in train}
    ids = table.rows[id_column].str.strip()
    share = ids.isin(stems).mean()
    joined = ids.str.rsplit("_", n=1).str[0].isin(stems).mean()
    found.seen.append(
        f"{table.path.name}: {len(ids):,} rows, {max(share, joined):.0%} of them of these images"
    )
    column = _rle_column(table)
    if column is not None:
        _rle_labels(found, table, column, train, share)
        return
    found.competition["task"] = "classification"
    flags, names = _flag_columns(table), _names(table)
    if share < 0.5 < joined and len(flags) == 1:
        parts = ids.str.rsplit("_", n=1)
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
    found: Recognised, table: _Table, column: str, train: Sequence[Path], share: float
) -> None:
    labels = found.competition["labels"]
    labels |= {"kind": "rle", "rle_column": column}
    found.competition |= {"task": "segmentation", "metric": "dice"}
    dialect, words = _dialect(table, column, train)
    labels["dialect"] = dialect
    found.seen.append(words)
    found.questions.append(
        "Are pixels counted down the columns (siim, kaggle) or along the rows (row-major)? "
        "Nothing in the numbers tells. Look: `goldfold train preview RUN` outlines the masks."
    )
    found.questions.append("Is the metric dice, or mean-iou-thresholds?")
    if share < 0.5 and table.rows.iloc[:, 0].str.contains("_").all():
        found.questions.append(
            "Ids seem to join an image and a class. goldfold trains one mask an image so far."
        )


def _dialect(table: _Table, column: str, train: Sequence[Path]) -> tuple[str, str]:
    """Return the dialect that most cells fit, and how that was seen."""
    cells = [cell for cell in table.rows[column] if not is_empty(cell)][:_LOOKED_AT]
    pixels = None
    try:
        header = read_header(train[0])
        pixels = header.height * header.width
    except (ImageError, IndexError):
        pass
    fits = Counter[str]()
    for name in DIALECTS:
        for cell in cells:
            try:
                parse(cell, get_dialect(name), pixels=pixels)
            except RunLengthError:
                continue
            fits[name] += 1
    starts = {int(cell.split()[0]) for cell in cells}
    order = ["kaggle", "siim", "row-major", "row-major-0", "kaggle-dash"]
    if 0 in starts or (table.rows[column].str.strip() == "-1").any():
        order = ["siim", "row-major-0", "kaggle", "row-major", "kaggle-dash"]
    best = max(order, key=lambda name: (fits[name], -order.index(name)))
    return best, f"run-length dialect {best}: fits {fits[best]} of {len(cells)} masks looked at"


def _from_masks(
    found: Recognised, masks: set[Path], pictures: dict[Path, list[Path]], data: Path
) -> None:
    train = _add_images(found, pictures, data)
    stems = {path.stem for path in train}
    patterns = []
    for folder in sorted(masks):
        inner = folder.relative_to(data).as_posix()
        forms = Counter(
            f"{inner}/{path.name.replace(_bare(path.stem), '{id}', 1)}"
            for path in folder.iterdir()
            if _bare(path.stem) in stems
        )
        patterns += [form for form, _ in forms.most_common(1)]
    found.competition |= {"task": "segmentation", "metric": "dice"}
    found.competition["labels"] = {"kind": "masks", "masks": [patterns]}
    found.seen.append(f"mask files: {', '.join(patterns)}")
    if len(patterns) > 1:
        found.questions.append(
            "The mask files of an image are united. Are they alternatives instead? Then write "
            "labels.masks = [[first], [second]]."
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


def _add_sample(found: Recognised, sample: _Table | None) -> None:
    form = found.competition["submission"]
    if sample is None:
        if found.competition["images"]["test"]:
            found.questions.append("Where is the sample submission? submission.sample is empty.")
        return
    columns = [str(name) for name in sample.rows.columns]
    form |= {"sample": [f"**/{sample.path.name}"], "id_column": columns[0]}
    found.seen.append(f"sample submission: {sample.path.name}, columns {', '.join(columns)}")
    classes = found.competition.get("classes", [])
    if not classes:
        dialect = found.competition["labels"].get("dialect", "kaggle")
        form |= {"rle_column": columns[-1], "dialect": dialect}
        if len(columns) > 2:
            names = ", ".join(columns)
            found.questions.append(f"The sample has the columns {names}: which hold what?")
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
