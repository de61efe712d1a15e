"""From the files of a competition to one table of images and a report of what is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from goldfold.competitions.find import find_images, find_table, require_folder, require_table
from goldfold.competitions.headers import read_headers
from goldfold.competitions.image import ImageHeader
from goldfold.competitions.images_table import FIXED
from goldfold.competitions.labels import read_csv_text, read_labels
from goldfold.competitions.rle import get_dialect
from goldfold.errors import GoldfoldError, InputError, list_problems
from goldfold.files import file_hash
from goldfold.progress import SILENT, Progress
from goldfold.settings import CompetitionSettings, ExtraTable

METADATA = ("patient", "sex", "age", "view", "spacing_mm", "transfer_syntax", "photometric")
_NAMED = 5  # ids named in a line about many


@dataclass
class DataReport:
    """What was found: problems stop the run, notices were handled by a setting, facts count."""

    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)

    def stop_on_problems(self, where: str) -> None:
        """Raise InputError with all problems, if there are any."""
        if self.problems:
            many = "problem" if len(self.problems) == 1 else "problems"
            title = f"{where} has {len(self.problems)} {many}:"
            raise InputError(list_problems(title, self.problems, limit=50))


def inputs_of(settings: CompetitionSettings) -> dict[str, object]:
    """Return what images.csv is made from: settings, files with size and time, table hashes."""
    data = require_folder(settings.data)
    images = find_images(data, [*settings.images.train, *settings.images.test])
    tables = [
        find_table(data, settings.labels.files),
        find_table(data, settings.submission.sample),
        *(find_table(data, [extra.file]) for extra in settings.tables),
    ]
    stats = [(path, path.stat()) for path in images]
    return {
        "competition": settings.model_dump(mode="json"),
        "images": [[str(p.relative_to(data)), s.st_size, s.st_mtime_ns] for p, s in stats],
        "tables": [[table.name, file_hash(table)] if table else None for table in tables],
    }


def collect_images(
    settings: CompetitionSettings, *, workers: int = 1, progress: Progress = SILENT
) -> tuple[pd.DataFrame, DataReport]:
    """Return the table of images (columns of images.csv) and the report.

    All problems are collected; the table holds what could be read.

    Raises:
        InputError: the data folder or the label table is missing or unreadable.
    """
    data = require_folder(settings.data)
    report = DataReport()
    found = [
        _found(data, split, globs, report)
        for split, globs in (("train", settings.images.train), ("test", settings.images.test))
    ]
    images = pd.concat(found, ignore_index=True)
    images = _add_headers(images, data, settings, workers, progress, report)
    images = _add_labels(images, data, settings, report)
    for extra in settings.tables:
        images = _add_table(images, data, extra, report)
    _compare_with_sample(images, data, settings, report)
    _count(images, report)
    return images, report


def _found(data: Path, split: str, globs: Sequence[str], report: DataReport) -> pd.DataFrame:
    paths = find_images(data, globs)
    table = pd.DataFrame(
        {
            "image_id": [path.stem for path in paths],
            "split": split,
            "path": [str(path.relative_to(data)) for path in paths],
        },
        dtype=str,
    )
    for image_id, same in table[table["image_id"].duplicated(keep=False)].groupby("image_id"):
        report.problems.append(f"{split} image {image_id} is there twice: {', '.join(same.path)}")
    if not paths:
        report.notices.append(f"no {split} images match {' or '.join(globs) or 'nothing'}")
    return table.drop_duplicates("image_id")


def _add_headers(
    images: pd.DataFrame,
    data: Path,
    settings: CompetitionSettings,
    workers: int,
    progress: Progress,
    report: DataReport,
) -> pd.DataFrame:
    headers = read_headers([data / path for path in images["path"]], workers, progress)
    report.problems += [str(h) for h in headers if isinstance(h, GoldfoldError)]
    good = [isinstance(header, ImageHeader) for header in headers]
    read = [header for header in headers if isinstance(header, ImageHeader)]
    images = images.loc[np.array(good, dtype=bool)].reset_index(drop=True)
    images["height"] = [header.height for header in read]
    images["width"] = [header.width for header in read]
    if settings.images.metadata == "dicom":
        for name in METADATA:
            images[name] = [header.facts.get(name, "") for header in read]
    shape = settings.images.shape
    if shape:
        other = images[(images["height"] != shape[0]) | (images["width"] != shape[1])]
        report.notices += _named(
            other["image_id"], f"are not {shape[0]} x {shape[1]} (competition.images.shape)"
        )
    return images.astype({"height": "int64", "width": "int64"})


def _add_labels(
    images: pd.DataFrame, data: Path, settings: CompetitionSettings, report: DataReport
) -> pd.DataFrame:
    names = settings.labels.files
    path = require_table(data, names, "label table", "competition.labels.files")
    dialect = get_dialect(settings.labels.dialect)
    labels = read_labels(path, settings.labels.id_column, settings.labels.rle_column, dialect)
    report.problems += labels.problems
    table = labels.table
    report.facts["label rows"] = int(table["rows"].sum())
    report.facts["label ids"] = len(table)
    several, overlaps = int((table["rows"] > 1).sum()), int((table["overlap_px"] > 0).sum())
    if several:
        report.notices.append(
            f"{several} images have several label rows; they are united "
            f"(in {overlaps} of them the rows overlap)"
        )
    images = images.merge(table.drop(columns="overlap_px"), on="image_id", how="left")
    images["labelled"] = images["rows"].notna() & (images["split"] == "train")
    images = _without_labels(images, settings, report)
    images = _without_images(images, table, settings, report)
    images = images.fillna({"mask_rle": "", "area_px": 0, "rows": 0, "end_px": 0}).fillna("")
    outside = images[images["end_px"] > images["height"] * images["width"]]
    report.problems += [
        f"{path.name}: the mask of {row.image_id} ends at pixel {int(row.end_px):,}, but the image "
        f"has {row.height} x {row.width} = {row.height * row.width:,}"
        for row in outside.itertuples()
    ]
    numbers = {"area_px": "int64", "rows": "int64", "height": "int64", "width": "int64"}
    images = images.drop(columns="end_px").astype(numbers)
    extra = [column for column in images.columns if column not in FIXED]
    return images[[*FIXED, *extra]]


def _without_labels(
    images: pd.DataFrame, settings: CompetitionSettings, report: DataReport
) -> pd.DataFrame:
    """Handle training images that have no label row, as `unlabelled` says."""
    bare = (images["split"] == "train") & ~images["labelled"]
    if not bare.any():
        return images
    lines = {"drop": "dropped", "empty": "taken as empty", "error": "an error"}
    how = f'{lines[settings.unlabelled]} (unlabelled = "{settings.unlabelled}")'
    notes = _named(images.loc[bare, "image_id"], f"have no label row: {how}")
    (report.problems if settings.unlabelled == "error" else report.notices).extend(notes)
    if settings.unlabelled == "empty":
        images["labelled"] = images["labelled"] | bare
        return images
    return images[~bare].reset_index(drop=True)


def _without_images(
    images: pd.DataFrame, table: pd.DataFrame, settings: CompetitionSettings, report: DataReport
) -> pd.DataFrame:
    """Handle label rows whose image is not there, as `imageless` says."""
    # A public test image may well be in the label table of a later stage; then it is there.
    missing = table[~table["image_id"].isin(images["image_id"])]
    if missing.empty:
        return images
    lines = {"drop": "dropped", "keep": "kept without an image", "error": "an error"}
    how = f'{lines[settings.imageless]} (imageless = "{settings.imageless}")'
    notes = _named(missing["image_id"], f"have a label row but no image: {how}")
    (report.problems if settings.imageless == "error" else report.notices).extend(notes)
    if settings.imageless != "keep":
        return images
    if settings.images.shape is None:
        raise InputError('imageless = "keep" needs competition.images.shape = [height, width].')
    height, width = settings.images.shape
    kept = missing.drop(columns="overlap_px").assign(
        split="train", path="", height=height, width=width, labelled=True
    )
    return pd.concat([images, kept], ignore_index=True)


def _add_table(
    images: pd.DataFrame, data: Path, extra: ExtraTable, report: DataReport
) -> pd.DataFrame:
    """Join further columns by id; a value already read from a header is replaced."""
    path = find_table(data, [extra.file])
    if path is None:
        message = f"no {extra.file} (columns {', '.join(extra.columns)})"
        (report.problems if extra.required else report.notices).append(message)
        return images
    wanted = list(dict.fromkeys(extra.columns.values()))
    table = read_csv_text(path, [extra.id_column, *wanted])
    twice = table[extra.id_column].duplicated()
    report.problems += _named(table.loc[twice, extra.id_column], f"are twice in {path.name}")
    table = table[~twice].set_index(extra.id_column)
    for new, old in extra.columns.items():
        values = images["image_id"].map(table[old]).fillna("")
        if pattern := extra.patterns.get(new):
            values = values.map(lambda text, p=pattern: _first_group(p, text))
        before = images[new] if new in images.columns else ""
        images[new] = values.where(values != "", before)
    return images


def _first_group(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match.group(1) if match else ""


def _compare_with_sample(
    images: pd.DataFrame, data: Path, settings: CompetitionSettings, report: DataReport
) -> None:
    path = find_table(data, settings.submission.sample)
    if path is None:
        looked = " or ".join(settings.submission.sample) or "nothing"
        report.notices.append(f"no sample submission ({looked}): `submit write` will need one")
        return
    ids = read_csv_text(path, [settings.submission.id_column])[settings.submission.id_column]
    report.facts["sample ids"] = int(ids.nunique())
    if ids.duplicated().any():
        report.notices.append(f"{path.name} repeats {int(ids.duplicated().sum())} ids")
    tests = images.loc[images["split"] == "test", "image_id"]
    if len(tests):
        absent = ids[~ids.isin(tests)].drop_duplicates()
        report.problems += _named(absent, f"are in {path.name} but have no test image")
        report.notices += _named(tests[~tests.isin(ids)], f"are test images not in {path.name}")


def _named(ids: pd.Series, what: str) -> list[str]:
    """Return no line, or one that counts the ids and names the first few."""
    if not len(ids):
        return []
    shown = ", ".join(ids.iloc[:_NAMED]) + (", ..." if len(ids) > _NAMED else "")
    return [f"{len(ids)} {'image' if len(ids) == 1 else 'images'} {what}: {shown}"]


def _count(images: pd.DataFrame, report: DataReport) -> None:
    train = images[(images["split"] == "train") & images["labelled"]]
    report.facts["training images"] = len(train)
    report.facts["non-empty masks"] = int((train["area_px"] > 0).sum())
    report.facts["test images"] = int((images["split"] == "test").sum())
    if "patient" in images.columns:
        named = train.loc[train["patient"] != "", "patient"]
        report.facts["patients"] = int(named.nunique())
    if not len(train):
        report.problems.append("there is no labelled training image")
