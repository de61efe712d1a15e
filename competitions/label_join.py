"""Joins images and labels; the settings decide about images without labels and vice versa."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from goldfold.competitions.class_labels import read_class_labels
from goldfold.competitions.data_folder import find_table, require_table
from goldfold.competitions.data_report import CommonCause, DataReport, count_ids
from goldfold.competitions.images_table import (
    CLASSES,
    FIXED,
    NUMBER,
    OBJECTS,
    SHARES,
    mask_columns,
)
from goldfold.competitions.label_ids import judge_labelled, settle_ids
from goldfold.competitions.label_notes import note_rows
from goldfold.competitions.mask_labels import images_as_masks, read_mask_labels
from goldfold.competitions.mask_paths import index_masks, mask_globs
from goldfold.competitions.mask_sizes import beyond_the_image, doubtful_form, other_sizes
from goldfold.competitions.number_labels import read_number_labels
from goldfold.competitions.resized_labels import resize_labels
from goldfold.competitions.rle import DIALECTS, Dialect, get_dialect
from goldfold.competitions.rle_labels import REPEATED, read_class_masks, read_labels
from goldfold.errors import plural
from goldfold.progress import SILENT, Progress
from goldfold.settings import CompetitionSettings
from goldfold.settings_text import to_value

_NUMBERS = ("area_px", "rows", "end_px", "end_row")
_SUSPICIOUS = 0.2  # if a larger share of the masks does not fit, the dialect may be wrong ...
_SOME = 5  # ... unless there are fewer than this


def add_labels(
    images: pd.DataFrame,
    left_out: set[str],
    data: Path,
    settings: CompetitionSettings,
    report: DataReport,
    *,
    workers: int = 1,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Return the images with their labels: the columns of images.csv, fixed ones first.

    Args:
        images: image_id, split, path, height, width and metadata.
        left_out: ids of images that exist but were excluded or cannot be read.
        data: folder of the label table.
        settings: settings of the competition.
        report: receives problems, notices and counts.
        workers: number of threads that decode mask files.
        progress: advances once per image with mask files.

    Raises:
        InputError: the label table is missing or unreadable.
    """
    join = _Join(images, left_out, data, settings, report)
    if settings.labels.kind == "rle":
        joined = _add_table(join)
    elif settings.labels.kind == "masks":
        joined = _add_mask_files(join, workers, progress)
    elif settings.number_range is not None:
        joined = _add_numbers(join)
    else:
        joined = _add_classes(join)
    stored = get_dialect(settings.labels.dialect).plain()
    joined = resize_labels(joined, settings, stored, workers=workers, progress=progress)
    extra = [name for name in images.columns if name not in FIXED]
    own = [CLASSES] if settings.classes else [OBJECTS] if settings.compares_objects else []
    own = [NUMBER] if settings.number_range is not None else own
    own += [SHARES] if SHARES in joined.columns else []
    masks = [column for name in settings.labelled_masks for column in mask_columns(name)]
    return joined[[*FIXED, *own, *masks, *extra]]


@dataclass(frozen=True)
class _Join:
    """The arguments of `add_labels`."""

    images: pd.DataFrame
    left_out: set[str]
    data: Path
    settings: CompetitionSettings
    report: DataReport

    @property
    def train(self) -> pd.DataFrame:
        """The training images."""
        return self.images[self.images["split"] == "train"]

    @property
    def table_path(self) -> Path | None:
        """The label table; None without one."""
        labels = self.settings.labels
        if labels.masks or labels.class_masks or labels.kind == "folders":
            return None
        return find_table(self.data, labels.files)

    @property
    def known(self) -> set[str]:
        """Ids of all existing images, including those left out."""
        return {*self.images["image_id"], *self.left_out}


def _add_classes(join: _Join) -> pd.DataFrame:
    images, settings, report = join.images, join.settings, join.report
    folders = settings.labels.kind == "folders"
    # Folders name the classes of test images, too; these are kept for the final evaluation only.
    labels = read_class_labels(images if folders else join.train, join.data, settings)
    report.problems += labels.problems
    report.notices += labels.notices
    report.facts["label rows"] = int(labels.table["rows"].sum())
    table = labels.table.assign(mask_rle="", area_px=0, overlap_px=0, end_px=0, end_row=0)
    name = "the folders" if folders else "the label table"
    if not folders:
        table = settle_ids(table, sorted(join.known), settings, report, name)
    joined = _join(images, table.drop(columns=CLASSES), name, report, hidden=folders)
    key = _key(table)
    names = table[key].itertuples(index=False, name=None)
    known = dict(zip(names, table[CLASSES], strict=True))
    seen = joined["labelled"] | folders
    joined[CLASSES] = [
        known.get(image, "") if use else ""
        for image, use in zip(joined[key].itertuples(index=False, name=None), seen, strict=True)
    ]
    joined = _without_labels(joined, join)
    absent = table[~table["image_id"].isin(join.known)]
    return _without_images(joined, absent, settings, report)


def _add_numbers(join: _Join) -> pd.DataFrame:
    report = join.report
    numbers, problems, notices = read_number_labels(join.data, join.settings)
    report.problems += problems
    report.notices += notices
    report.facts["label rows"] = len(numbers)
    table = numbers.assign(mask_rle="", area_px=0, overlap_px=0, end_px=0, end_row=0)
    table = settle_ids(table, sorted(join.known), join.settings, report, "the label table")
    joined = _join(join.images, table, "the label table", report)
    joined = _without_labels(joined, join)
    absent = table[~table["image_id"].isin(join.known)]
    return _without_images(joined, absent, join.settings, report)


def _add_mask_files(join: _Join, workers: int, progress: Progress) -> pd.DataFrame:
    settings, report, named = join.settings, join.report, join.settings.labels.class_masks
    index = index_masks(join.data, [*settings.labels.masks, *named.values()], join.known)
    train, size = join.train, settings.labels.size
    train = train if size is None else train.assign(height=size[0], width=size[1])
    labels = read_mask_labels(train, index, settings, workers=workers, progress=progress)
    report.problems += images_as_masks(join.images, index)
    report.facts["mask files"] = int(labels.table["rows"].sum())
    if labels.table.empty and len(join.train):
        globs = mask_globs([*settings.labels.masks, *named.values()])
        report.problems.append(
            f"no file in {join.data} is the mask of a training image (searched for "
            f"{', '.join(globs)}). Correct competition.labels in goldfold.toml."
        )
    report.notices += labels.notices
    overlaps = int((labels.table["overlap_px"] > 0).sum())
    if overlaps:
        each = "each remains an object" if settings.compares_objects else "each pixel counts once"
        report.notices.append(
            f"{plural(overlaps, 'image has', 'images have')} mask files that overlap; {each}"
        )
    report.problems += labels.problems
    joined = _join(join.images, labels.table, "the mask files", report)
    joined = _without_labels(joined, join, "mask file")
    lines = count_ids(index.lost, "mask has", "masks have", "no image")
    (report.notices if settings.imageless == "drop" else report.problems).extend(lines)
    return joined


def _add_table(join: _Join) -> pd.DataFrame:
    settings, report = join.settings, join.report
    names = settings.labels.files
    path = require_table(join.data, names, "label table", "competition.labels.files")
    dialect = get_dialect(settings.labels.dialect)
    if settings.mask_classes:
        labels = read_class_masks(
            path, settings.labels, settings.mask_classes, dialect, background=settings.background
        )
    else:
        columns = settings.labels.id_column, settings.labels.rle_column
        labels = read_labels(path, *columns, dialect, objects=settings.compares_objects)
    note_rows(labels, report)
    report.notices += labels.notices
    table = settle_ids(labels.table, sorted(join.known), settings, report, path.name)
    joined = _join(join.images, table, path.name, report)
    joined = _without_labels(joined, join)
    absent = table[~table["image_id"].isin(join.known)]
    joined = _without_images(joined, absent, settings, report)
    size = settings.labels.size
    beyond = beyond_the_image(joined, path.name, size)
    beyond += [
        line
        for line in other_sizes(joined, labels.stated, path.name, size)
        if line.partition(":")[0] not in {known.partition(":")[0] for known in beyond}
    ]
    report.problems += [*labels.problems, *beyond]
    report.problems += doubtful_form(joined, dialect, path.name, settings)
    unfit = [*labels.malformed, *beyond]
    if len(unfit) >= _SOME and len(unfit) > _SUSPICIOUS * labels.masks:
        report.causes.append(_wrong_dialect(unfit, labels.masks, dialect, path.name))
    return joined


def _key(table: pd.DataFrame) -> list[str]:
    """Return the columns that name an image; a training and a test image may have the same id."""
    return ["image_id", "split"] if "split" in table else ["image_id"]


def _join(
    images: pd.DataFrame,
    table: pd.DataFrame,
    name: str,
    report: DataReport,
    *,
    hidden: bool = False,
) -> pd.DataFrame:
    """Join the labels of training images; labels of test images are not used.

    A notice reports such labels, unless `hidden`.
    """
    train = images["split"] == "train"
    tests = images.loc[~train & images["image_id"].isin(table["image_id"]), "image_id"]
    if not hidden:
        report.notices += count_ids(
            tests, "test image has", "test images have", f"a row in {name}, which is not used"
        )
    used = table.drop(columns=["overlap_px", REPEATED], errors="ignore")
    joined = images.merge(used, on=_key(used), how="left")
    joined["labelled"] = joined["rows"].notna() & train.to_numpy()
    own = [column for column in table.columns if column.startswith(("mask_rle:", "area_px:"))]
    texts = [name for name in own if not name.startswith("area_px:")]
    texts += [name for name in (CLASSES, SHARES, NUMBER, OBJECTS) if name in table]
    for column in ("mask_rle", *texts):
        joined[column] = joined[column].fillna("").where(joined["labelled"], "")
    for column in (*_NUMBERS, *(name for name in own if name not in texts)):
        joined[column] = joined[column].fillna(0).where(joined["labelled"], 0).astype("int64")
    return joined


def _without_labels(images: pd.DataFrame, join: _Join, what: str = "label row") -> pd.DataFrame:
    """Handle training images without labels, according to `unlabelled`."""
    settings, report = join.settings, join.report
    is_train = images["split"] == "train"
    bare = is_train & ~images["labelled"]
    train = images[is_train]
    judge_labelled(train, train["labelled"], join.data, join.table_path, settings, report)
    means = {"drop": "dropped", "empty": "taken as empty", "error": "an error"}
    lines = count_ids(
        images.loc[bare, "image_id"],
        "training image has",
        "training images have",
        f'no {what}, {means[settings.unlabelled]} (unlabelled = "{settings.unlabelled}")',
    )
    (report.problems if settings.unlabelled == "error" else report.notices).extend(lines)
    if settings.unlabelled == "empty":
        return images.assign(labelled=images["labelled"] | bare)
    return images[~bare].reset_index(drop=True)


def _without_images(
    images: pd.DataFrame, absent: pd.DataFrame, settings: CompetitionSettings, report: DataReport
) -> pd.DataFrame:
    """Handle labels without an image, according to `imageless`."""
    means = {"drop": "dropped", "keep": "kept without an image", "error": "an error"}
    lines = count_ids(
        absent["image_id"],
        "label has",
        "labels have",
        f'no image, {means[settings.imageless]} (imageless = "{settings.imageless}")',
    )
    (report.problems if settings.imageless == "error" else report.notices).extend(lines)
    if settings.imageless != "keep" or absent.empty:
        return images
    if settings.images.shape is None:
        report.problems.append('imageless = "keep" needs images.shape = [height, width]')
        return images
    height, width = settings.images.shape
    kept = absent.assign(split="train", path="", height=height, width=width, labelled=True)
    kept = kept.reindex(columns=images.columns, fill_value="").astype(images.dtypes.to_dict())
    return kept if images.empty else pd.concat([images, kept], ignore_index=True)


def _wrong_dialect(unfit: list[str], masks: int, dialect: Dialect, name: str) -> CommonCause:
    others = ", ".join(other for other in DIALECTS if other != dialect.name)
    return CommonCause(
        f"is competition.labels.dialect = {to_value(dialect.setting())} right? {len(unfit):,} of "
        f"{plural(masks, 'row', 'rows')} with a mask in {name} do not fit (the other dialects "
        f"with names are {others}):",
        unfit,
    )
