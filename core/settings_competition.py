"""What goldfold.toml can say of the competition: its files, labels, metric and submission."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# The dialects of goldfold.competitions.rle.
DialectName = Literal["siim", "kaggle", "kaggle-dash", "row-major", "row-major-0"]
Side = Annotated[int, Field(ge=1)]
MASK_PATTERN = r"^[^{}]*\{id\}[^{}]*$"
MaskPattern = Annotated[str, Field(pattern=MASK_PATTERN)]


class Strict(BaseModel):
    """Unknown keys and infinite numbers are errors; nothing changes after reading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class ImageFiles(Strict):
    """Where the images are, as globs below the data folder."""

    train: list[str] = []
    """Globs of the training images; all that match are taken."""
    test: list[str] = []
    """Globs of the test images."""
    exclude: list[str] = []
    """Images to leave out, damaged ones for example: ids, or globs below the data folder."""
    shape: tuple[Side, Side] | None = None
    """Height and width that every image has, where the competition fixes them."""
    metadata: Literal["none", "dicom"] = "none"
    """Read patient, sex, age, view and spacing from DICOM headers."""


class LabelTable(Strict):
    """The labels: a table of run-length encoded masks, or mask images."""

    kind: Literal["rle", "masks"] = "rle"
    """`rle` = one or several rows an image, united; `masks` = one or several files an image."""
    masks: list[Annotated[list[MaskPattern], Field(min_length=1)]] = []
    """Mask files with {id} for the image's name: [["left/{id}.png", "right/{id}.png"]] unites two;
    of several such lists the first of which a file is there counts for an image."""
    files: list[str] = []
    """Names or globs of the table below the data folder; the first that exists is read."""
    id_column: str = "ImageId"
    """Column with the image id; spaces around a header do not matter."""
    rle_column: str = "EncodedPixels"
    """Column with the run-length encoding."""
    dialect: DialectName = "siim"
    """Dialect of the run-length encoding (docs/glossary.md)."""

    @model_validator(mode="after")
    def _masks_belong(self) -> LabelTable:
        if (self.kind == "masks") != bool(self.masks):
            raise ValueError('masks belong to kind = "masks", and that needs them')
        return self


class ExtraTable(Strict):
    """A CSV of facts about the images, joined by id."""

    file: str
    """Name or glob below the data folder, or a path."""
    id_column: str
    """Column with the image id."""
    columns: dict[str, str]
    """New name of a column in images.csv = column of this file."""
    patterns: dict[str, str] = {}
    """Keep only the first group of this regular expression, a new name each."""
    required: bool = False
    """Whether a missing file is an error."""
    note: str = ""
    """What a missing file means, in a few words."""

    @model_validator(mode="after")
    def _patterns_fit(self) -> ExtraTable:
        for name, pattern in self.patterns.items():
            if name not in self.columns:
                raise ValueError(f"patterns names {name!r}, which columns does not")
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"pattern {pattern!r} of {name!r}: {error}") from None
            if groups == 0:
                raise ValueError(f"pattern {pattern!r} of {name!r} has no (group) to keep")
        return self


class SubmissionFormat(Strict):
    """The sample submission and how masks are written in one like it."""

    sample: list[str] = []
    """Names or globs of the sample submission below the data folder; the first is read."""
    id_column: str = "ImageId"
    """Column with the image id."""
    rle_column: str = "EncodedPixels"
    """Column with the run-length encoding."""
    dialect: DialectName = "siim"
    """Dialect of the run-length encoding."""
    class_column: str | None = None
    """Column with the class, where a row is an image and a class."""
    class_separator: str = ""
    """What parts image and class in the id column, where they are joined, e.g. `_`."""
    objects: bool = False
    """An image has one row an object, and an empty one where there is none."""
    probability_columns: list[str] = []
    """Columns with probabilities, where the submission has these instead of masks."""


class CompetitionSettings(Strict):
    """What the competition is: files, labels, metric. A preset fills all but `data`."""

    preset: str | None = None
    """Name of a shipped preset whose values stand beneath the ones given here."""
    data: Path = Path("data")
    """Folder with the competition's files; a relative path counts from goldfold.toml."""
    title: str = ""
    """Name shown to people."""
    task: Literal["segmentation"] = "segmentation"
    """What is predicted."""
    metric: Literal["dice", "mean-iou-thresholds"] = "dice"
    """The competition's score, a function of intersection, predicted and true pixels."""
    images: ImageFiles = ImageFiles()
    """Where the images are."""
    labels: LabelTable = LabelTable()
    """Where the labels are."""
    tables: list[ExtraTable] = []
    """Further facts: patient tables, depths, views."""
    submission: SubmissionFormat = SubmissionFormat()
    """The submission's form."""
    unlabelled: Literal["drop", "empty", "error"] = "drop"
    """Training images without a label row: leave out, take as empty masks, or stop."""
    imageless: Literal["drop", "keep", "error"] = "drop"
    """Label rows without an image: leave out, keep for folds from the table alone, or stop."""
