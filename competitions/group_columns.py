"""Columns of images.csv that may say which images belong together.

They come from the label table, the further tables, the paths of the images and DICOM headers,
whether or not a setting names them. `goldfold folds` asks about each of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_text import read_other_columns
from goldfold.competitions.data_folder import find_table
from goldfold.competitions.group_rule import WORDS, fronts, is_group, is_site, naming
from goldfold.competitions.id_forms import same_ids
from goldfold.competitions.images_table import CLASSES, FIXED, NUMBER, OBJECTS, SHARES
from goldfold.settings import CompetitionSettings, LabelTable

HEADER_GROUPS = ("patient", "study", "series")
"""Facts of a DICOM header that identify a group: PatientID, StudyInstanceUID, SeriesInstanceUID."""
_ATTRIBUTES = ("sex", "age", "view", "spacing_mm", "transfer_syntax", "photometric")
_UNKNOWN = frozenset({"nan", "none", "null", "na", "n/a", "unknown"})
_DISAGREEING = 0.05  # share of images whose rows disagree; above it, the column is about rows
_IN_PATHS = WORDS - {"pid", "ptid", "subjid", "usubjid", "mrn", "accession"}
_PART = re.compile(
    rf"(?:^|[/_.\s-])(({'|'.join(sorted(_IN_PATHS))})[_-]?\d+)(?=[/_.\s-]|$)", re.IGNORECASE
)


def group_candidates(train: pd.DataFrame) -> dict[str, list[str]]:
    """Return the group columns of images.csv: name -> value of each image, "" = unknown.

    Args:
        train: labelled training images.
    """
    other = {*FIXED, *_ATTRIBUTES, CLASSES, SHARES, NUMBER, OBJECTS}
    columns = {
        str(name): [str(value) for value in train[name]]
        for name in train.columns
        if name not in other and not str(name).startswith(("mask_rle:", "area_px:"))
    }
    return {name: values for name, values in columns.items() if is_group(name, values)}


def site_candidates(train: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of images.csv with the places where images were taken.

    Args:
        train: labelled training images.
    """
    columns = {
        str(name): [str(value) for value in train[name]]
        for name in train.columns
        if name not in FIXED
    }
    return {name: values for name, values in columns.items() if is_site(name, values)}


def path_groups(paths: Sequence[str]) -> dict[str, list[str]]:
    """Return the group words that have a number in some path: word -> value in every path.

    The value of a study, a series or another part of a patient includes the parts above it.

    >>> path_groups(["a/patient1/study2/x.png", "a/y.png"])
    {'patient': ['patient1', ''], 'study': ['patient1/study2', '']}
    """
    values_of_word: dict[str, list[str]] = {}
    for place, path in enumerate(paths):
        above: dict[str, str] = {}
        for match in _PART.finditer(path.rpartition(".")[0] or path):
            word = match[2].lower()
            if word not in above:
                above[word] = match[1]
                values = values_of_word.setdefault(word, [""] * len(paths))
                values[place] = "/".join(above.values())
    return values_of_word


def values_by_image(ids: pd.Series, cells: pd.Series) -> dict[str, str]:
    """Return image -> value; {} if the rows of too many images disagree.

    Args:
        ids: image id of each row; an image may have several rows.
        cells: text of each row; an unknown value is "" or a word such as nan.
    """
    rows = pd.DataFrame({"image": ids.to_numpy(), "value": cells.str.strip().to_numpy()})
    rows = rows[(rows["value"] != "") & ~rows["value"].str.lower().isin(_UNKNOWN)]
    pairs = rows.drop_duplicates()
    several = pairs.loc[pairs["image"].duplicated(), "image"].nunique()
    if several > _DISAGREEING * max(1, pairs["image"].nunique()):
        return {}
    first = pairs.drop_duplicates("image")
    return dict(zip(first["image"], first["value"], strict=True))


def add_group_columns(
    images: pd.DataFrame, data: Path, settings: CompetitionSettings
) -> pd.DataFrame:
    """Return the images with further columns that may identify their groups.

    Columns of tables whose names clearly identify a group are added whatever they contain, so that
    `folds.group` can name them and the user learns that they are empty.

    Args:
        images: all images, with labels and the columns that settings name.
        data: folder of the tables.
        settings: settings of the competition.

    Raises:
        InputError: a table is unreadable.
    """
    columns = {str(name): list(images[name]) for name in images.columns}
    for name, values in path_groups(list(images["path"])).items():
        if is_group(name, _of_training(values, images)):
            columns[free_name(columns, name, values, "path")] = values
    for table in _tables(data, settings):
        same = _same(table, images, settings)
        for name, known in table.items():
            renamed = {same[old]: value for old, value in known.items() if old in same}
            of_image = {**known, **renamed}
            values = [of_image.get(image_id, "") for image_id in images["image_id"]]
            own = _as_group(name, values, images)
            if own is not None and not _is_known(columns, *own):
                columns[free_name(columns, *own, "table")] = own[1]
    new = {name: values for name, values in columns.items() if name not in images.columns}
    return images.join(pd.DataFrame(new, index=images.index, dtype=str))


def _is_known(columns: Mapping[str, Sequence[object]], name: str, values: Sequence[str]) -> bool:
    """Return whether a column of that name has these values, and maybe more of them."""
    return name in columns and all(
        value in ("", known) for value, known in zip(values, columns[name], strict=True)
    )


def _as_group(name: str, values: list[str], images: pd.DataFrame) -> tuple[str, list[str]] | None:
    """Return name and values of a table's column if it may be a group, None if not.

    Of values such as `00028864_007.png` it is the part before the number of the image.
    """
    of_training = _of_training(values, images)
    if naming(name) == "certain" or is_group(name, of_training) or is_site(name, of_training):
        return name, values
    front = f"{name}_front"
    return (front, fronts(values)) if is_group(front, fronts(of_training)) else None


def _same(
    table: Mapping[str, Mapping[str, str]], images: pd.DataFrame, settings: CompetitionSettings
) -> dict[str, str]:
    """Return id in a table -> id of the image, where `labels.id_ignores` allows a difference."""
    if not settings.labels.id_ignores:
        return {}
    ids = list(dict.fromkeys(image for known in table.values() for image in known))
    return same_ids(ids, list(images["image_id"]), settings.labels.id_ignores)[0]


def add_header_groups(
    images: pd.DataFrame, facts: Sequence[Mapping[str, str]], settings: CompetitionSettings
) -> pd.DataFrame:
    """Return the images with the group columns of their DICOM headers.

    Args:
        images: table with the column split.
        facts: facts of each image's header.
        settings: settings of the competition; a fact taken from paths may have the same name as
            one of the header.
    """
    added = images.copy()
    for name in HEADER_GROUPS:
        values = [fact.get(name, "") for fact in facts]
        train = [
            value
            for value, split in zip(values, images["split"], strict=True)
            if split == "train"
        ]  # fmt: skip
        if name not in added.columns and is_group(name, train):
            free = f"header_{name}" if name in settings.images.facts else name
            added[free] = pd.Series(values, index=added.index, dtype=str)
    return added


def free_name(
    columns: Mapping[str, Sequence[object]], name: str, values: list[str], origin: str
) -> str:
    """Return a name for a column: its own, or one with its origin if that name is taken.

    >>> free_name({"patient": ["a"]}, "patient", ["b"], "path")
    'path_patient'
    """
    while name in columns and list(columns[name]) != values:
        name = f"{origin}_{name}"
    return name


def _of_training(values: Sequence[str], images: pd.DataFrame) -> list[str]:
    used = (images["split"] == "train") & images["labelled"]
    return [value for value, is_used in zip(values, used, strict=True) if is_used]


def _tables(data: Path, settings: CompetitionSettings) -> list[dict[str, dict[str, str]]]:
    """Return the columns of each table that no setting uses: name -> image -> value."""
    tables = []
    labels = settings.labels
    if labels.files and not (labels.masks or labels.class_masks or labels.kind == "folders"):
        path = find_table(data, labels.files)
        if path is not None:
            joined = labels.kind == "long" or (labels.kind == "rle" and bool(settings.mask_classes))
            joint = labels.class_separator if joined and labels.class_column is None else ""
            used = _used_columns(labels, settings.classes)
            tables.append(other_columns(path, labels.id_column, used, joint))
    for extra in settings.tables:
        path = find_table(data, [extra.file])
        if path is not None:
            used = set(extra.columns.values())
            tables.append(other_columns(path, extra.id_column, used))
    return tables


def _used_columns(labels: LabelTable, classes: Sequence[str]) -> set[str]:
    used: dict[str, set[str | None]] = {
        "rle": {labels.rle_column, labels.class_column},
        "column": {labels.class_column},
        "lists": {labels.class_column},
        "wide": {*classes},
        "long": {labels.value_column, labels.class_column},
    }
    return {name for name in used[labels.kind] if name is not None}


def other_columns(
    path: Path, id_column: str, used: Collection[str], joint: str = ""
) -> dict[str, dict[str, str]]:
    """Return the unused columns of a table: name -> image -> value; unknown values are left out.

    Args:
        path: path of the table.
        id_column: column with the image ids.
        used: further columns to leave out.
        joint: separates image and class in the id column; "" = nothing is joined.

    Raises:
        InputError: the table is unreadable.
    """
    rows = read_other_columns(path, used)
    if id_column not in rows.columns or len(rows.columns) == 1:
        return {}
    ids = rows[id_column].str.strip()
    if joint:
        ids = ids.str.rsplit(joint, n=1).str[0]
    return {
        str(name): values_by_image(ids, rows[name]) for name in rows.columns if name != id_column
    }
