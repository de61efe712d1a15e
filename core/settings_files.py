"""What goldfold.toml can say of a competition's files: images, labels, tables, submission."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from goldfold.settings_dialect import DialectSetting
from goldfold.settings_labels import LabelRules
from goldfold.settings_values import MaskValues, Values, renamed_settings, values_problem
from goldfold.vocabulary import Crop, LabelKind, Pages, Stretch

Side = Annotated[int, Field(ge=1)]


def _as_pair(given: Any) -> Any:
    """Return a list as a tuple: strict types take none for a pair behind a `before` validator."""
    return tuple(given) if isinstance(given, list) else given


MaskSize = Annotated[tuple[Side, Side], BeforeValidator(_as_pair)]
Percent = Annotated[float, Field(ge=0, le=100)]
MASK_PATTERN = r"^[^{}]*(\{id\}[^{}]*|(\{[1-9]\}[^{}]*)+)$"
MaskPattern = Annotated[str, Field(pattern=MASK_PATTERN)]


class Strict(BaseModel):
    """Unknown keys and infinite numbers are errors; nothing changes after reading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


def _check_patterns(patterns: dict[str, str]) -> None:
    """Raise ValueError unless each is a regular expression with a group to keep."""
    for name, pattern in patterns.items():
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"pattern {pattern!r} of {name!r}: {error}") from None
        if groups == 0:
            raise ValueError(f"pattern {pattern!r} of {name!r} has no (group) to keep")


class ImageSequence(Strict):
    """Which images are neighbours: slices of a volume, frames of a film. Columns of images.csv."""

    group: Annotated[list[str], Field(min_length=1)]
    """Columns whose values, taken together, are equal within a sequence: ["case", "day"]."""
    order: str
    """Column that orders a sequence: by number where all values in it are numbers, else by text.
    Neighbours follow each other in this order, whatever numbers are missing between them."""


class ImageFiles(Strict):
    """Where the images are, as globs below the data folder."""

    train: list[str] = []
    """Globs of the training images; all that match are taken."""
    test: list[str] = []
    """Globs of the test images."""
    exclude: list[str] = []
    """Images to leave out, damaged ones for example: ids, or globs below the data folder."""
    id_pattern: str | None = None
    """Regular expression found in an image's path below the data folder; its groups, joined by _,
    are the image's id: "([^/]+)$" = the file's name with its ending. Unset, the name without it."""
    shape: tuple[Side, Side] | None = None
    """Height and width that every image has, where the competition fixes them."""
    metadata: Literal["none", "dicom"] = "none"
    """Read patient, sex, age, view and spacing from DICOM headers."""
    facts: dict[str, str] = {}
    """New column of images.csv = regular expression; its first group, found in the image's path
    below the data folder, is the value: patient = "/(person\\d+)_"."""
    sequence: ImageSequence | None = None
    """Which images are neighbours, for models with `neighbours`: { group = ["case", "day"],
    order = "slice" }. With metadata = "dicom", series, position_mm (of a slice, along its normal)
    and instance_number are read from the headers where they are named here."""
    windows: list[str] = []
    """Windows to see gray images of more than 8 bits through instead of their own: names (brain,
    subdural, bone, stroke, soft-tissue, lung) or CENTER:WIDTH, in Hounsfield units of CT, in levels
    of PNG and TIFF; three become the three channels."""
    stretch: Stretch = "auto"
    """Which levels become black and white. `percentile`: those at `stretch_percentiles` of each
    image; `image`: its lowest and highest. `none`: the lowest and highest that its bits can hold.
    `auto`: the window in the header; else bits as they are in files of 8 bits and in PNG and TIFF
    of 16, percentiles in other DICOM and in TIFF of floats. CT without a window is refused."""
    stretch_percentiles: tuple[Percent, Percent] = (0.5, 99.5)
    """Shares of an image's pixels, in percent, at which a stretch begins and ends."""
    pages: Pages = "error"
    """A TIFF, GIF or WEBP of several pictures: stop, or read the first. Smaller copies of the first
    do not count. Of several DICOM frames the middle one is read."""
    repair: Literal["none", "ct-intercept"] = "none"
    """`ct-intercept`: 12-bit unsigned CT whose intercept is above -100 was stored 1000 too low and
    wrapped around; it is shifted back."""
    least_in_window: Annotated[float, Field(ge=0, le=1)] | None = None
    """Leave out training images with a smaller share of pixels inside the first window; the share
    stands in images.csv as img_pct_window."""
    crop: Crop = "none"
    """`head`: cut each image to the square around the largest bright part before it is resized."""

    @model_validator(mode="after")
    def _facts_and_windows_fit(self) -> ImageFiles:
        _check_patterns(self.facts)
        if self.id_pattern is not None:
            _check_patterns({"id_pattern": self.id_pattern})
        if len(self.windows) not in (0, 1, 3):
            raise ValueError(f"windows must be one or three, found {len(self.windows)}")
        if self.least_in_window is not None and not self.windows:
            raise ValueError("least_in_window needs windows")
        if self.windows and self.stretch in ("image", "percentile"):
            raise ValueError(f'windows and stretch = "{self.stretch}" exclude each other')
        if self.stretch_percentiles[0] >= self.stretch_percentiles[1]:
            raise ValueError("stretch_percentiles begin below where they end, as in [0.5, 99.5]")
        return self


class LabelTable(Strict, LabelRules):
    """The truth: masks in a table or in files, or classes in a table or as folders."""

    kind: LabelKind = "rle"
    """Masks: `rle` = one or several rows per image, merged; `masks` = files. Classes: `folders` =
    named by the image's folder; `column` = one name, grade or number per row; `lists` = several
    names in a cell; `wide` = one 0/1 column per class; `long` = one row per image and class."""
    masks: list[Annotated[list[MaskPattern], Field(min_length=1)]] = []
    """Mask files with {id} for the image's id, all of which are merged: [["{id}/masks/*.png"]], or
    [["left/{id}.png", "right/{id}.png"]]. {1}, {2} are the groups of images.id_pattern. Of several
    inner lists, an image uses the first that matches a file."""
    class_masks: dict[str, Annotated[list[MaskPattern], Field(min_length=1)]] = {}
    """Several masks per image: the mask files of each class, merged if there are several:
    left = ["leftMask/{id}.png"]."""
    absent_masks: Literal["error", "empty"] = "error"
    """`masks`: a pattern without a file for an image that has other mask files: stop, or take that
    mask as empty."""
    values: MaskValues = []
    """`masks`: what is the mask in a file, where it is not 0 and one other value: gray levels or
    palette indices [1, 2], colours ["#ff0000"], ranges ["128..255"]; "nonzero"; "objects" (each
    number is an object). Several classes in one file: { liver = [21], tumor = [22] }."""
    ignored_values: Values = []
    """`masks`: values of pixels that neither loss nor metric looks at: [255]."""
    files: list[str] = []
    """Names or globs of the table below the data folder; the first that exists is read."""
    id_column: str = "ImageId"
    """Column with the image id; spaces around a header do not matter."""
    rle_column: str = "EncodedPixels"
    """Column with the run-length encoding."""
    dialect: DialectSetting = "siim"
    """Dialect of the run-length encoding (docs/glossary.md): a name, or a table."""
    size: MaskSize | None = None
    """Height and width that encodings or mask files refer to, where these are not those of the
    image: [256, 256]."""
    class_column: str | None = None
    """`column`: column with the class's name, the grade or the number. `lists`: column with the
    names. `long`, and `rle` with
    classes: column with the class's name, where it is not in the id."""
    class_separator: str = "_"
    """`long`, and `rle` with classes: what separates image and class in the id column, if there
    is no class_column."""
    value_column: str = "Label"
    """`long`: column with 0 or 1."""
    class_folder: Annotated[int, Field(ge=1)] = 1
    """`folders`: which folder above an image is named after its class: 1 = the innermost."""

    @property
    def tells_objects(self) -> bool:
        """Whether each object of an image has a row, a file or a number of its own."""
        several = any(len(group) > 1 or "*" in pattern for group in self.masks for pattern in group)
        return self.kind == "rle" or self.values == "objects" or several

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, given: Any) -> Any:
        return renamed_settings(given)

    @model_validator(mode="after")
    def _column_is_named(self) -> LabelTable:
        if self.kind in ("column", "lists") and self.class_column is None:
            raise ValueError(f'kind = "{self.kind}" needs class_column')
        return self

    @model_validator(mode="after")
    def _masks_belong(self) -> LabelTable:
        if (self.kind == "masks") != bool(self.masks or self.class_masks):
            raise ValueError('masks or class_masks belong to kind = "masks", and that needs them')
        if self.masks and self.class_masks:
            raise ValueError("give masks, or class_masks for several masks per image, not both")
        if problem := values_problem(self):
            raise ValueError(problem)
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
    """New name = regular expression whose first group is kept."""
    required: bool = False
    """Whether a missing file is an error."""
    note: str = ""
    """What a missing file means, in a few words."""

    @model_validator(mode="after")
    def _patterns_fit(self) -> ExtraTable:
        for name in self.patterns:
            if name not in self.columns:
                raise ValueError(f"patterns names {name!r}, which columns does not")
        _check_patterns(self.patterns)
        return self


class SubmissionFormat(Strict):
    """The sample submission and how masks are written in one like it."""

    sample: list[str] = []
    """Names or globs of the sample submission below the data folder; the first is read."""
    id_column: str = "ImageId"
    """Column with the image id."""
    rle_column: str = "EncodedPixels"
    """Column with the run-length encoding."""
    dialect: DialectSetting = "siim"
    """Dialect of the run-length encoding: a name, or a table."""
    size: MaskSize | None = None
    """Height and width of all submitted masks, where these are not those of the image: [350, 525].
    Maps, thresholds and the metric are of this size, too, and true masks are brought to it."""
    class_column: str | None = None
    """Column with the class, if there is one row per image and class."""
    class_separator: str = ""
    """What separates image and class in the id column, if they are joined, e.g. `_`."""
    objects: bool = False
    """An image has one row per object, and an empty row if it has none. An object is a part of
    the mask that is connected through sides and corners."""
    probability_columns: list[str] = []
    """Columns with probabilities, if the submission has these instead of masks; with
    classification one per class, or one for all if there is one row per image and class."""
    label_column: str | None = None
    """Column with the name of the most likely class, if the submission has one; with the grade, or
    the number of regression."""
