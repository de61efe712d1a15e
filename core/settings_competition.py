"""What goldfold.toml can say of the competition: its files, labels, metric and submission."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from goldfold.own_code import OwnObject, is_reference
from goldfold.settings_numbers import NUMBER_TASKS, check_numbers, outputs_of
from goldfold.settings_semantic import IGNORED, class_map_problem, levels_problem
from goldfold.vocabulary import (
    ClassLabels,
    ClassMetric,
    Crop,
    DialectName,
    GradeOutput,
    LabelKind,
    MaskLabels,
    Metric,
    ObjectMetric,
    PixelMetric,
    TaskName,
    names_of,
)

Side = Annotated[int, Field(ge=1)]
MASK_KINDS, CLASS_KINDS = names_of(MaskLabels), names_of(ClassLabels)
OBJECT_METRICS = names_of(ObjectMetric)
"""Those that compare the objects of a mask, not its pixels."""
MASK_METRICS = (*names_of(PixelMetric), *OBJECT_METRICS)
CLASS_METRICS = names_of(ClassMetric)
MOST_MASKS = 8
"""Masks an image may have: the image cache keeps a bit for each."""
Level = Annotated[int, Field(ge=0, le=65535)]
MASK_PATTERN = r"^[^{}]*\{id\}[^{}]*$"
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
    """Windows of CT to see gray DICOM through instead of its own: names (brain, subdural, bone,
    stroke, soft-tissue, lung) or CENTER:WIDTH; three become the three channels."""
    stretch: Literal["none", "image"] = "none"
    """`image`: spread the levels of each PNG or JPEG, lowest to highest, over black to white; for
    files of 16 bits with low levels, which look black otherwise."""
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
        return self


class LabelTable(Strict):
    """The truth: masks in a table or in files, or classes in a table or as folders."""

    kind: LabelKind = "rle"
    """Masks: `rle` = one or several rows per image, merged; `masks` = files; `levels` = one file
    per image whose gray levels are classes. Classes: `folders` = named by the image's folder;
    `column` = one name, grade or number per row; `wide` = one 0/1 column per class; `long` = one
    row per image and class."""
    masks: list[Annotated[list[MaskPattern], Field(min_length=1)]] = []
    """Mask files with {id} for the image's id, all of which are merged: [["{id}/masks/*.png"]], or
    [["left/{id}.png", "right/{id}.png"]]. Of several inner lists, an image uses the first that
    matches a file."""
    class_masks: dict[str, Annotated[list[MaskPattern], Field(min_length=1)]] = {}
    """Several masks per image: the mask files of each class, merged if there are several:
    left = ["leftMask/{id}.png"]."""
    levels: dict[str, Annotated[list[Level], Field(min_length=1)]] = {}
    """`levels`: the gray levels of each class in the files that `masks` names: liver = [21]."""
    ignored_levels: list[Level] = []
    """`levels`: gray levels of pixels that neither loss nor metric looks at: [255]."""
    files: list[str] = []
    """Names or globs of the table below the data folder; the first that exists is read."""
    id_column: str = "ImageId"
    """Column with the image id; spaces around a header do not matter."""
    rle_column: str = "EncodedPixels"
    """Column with the run-length encoding."""
    dialect: DialectName = "siim"
    """Dialect of the run-length encoding (docs/glossary.md)."""
    class_column: str | None = None
    """`column`: column with the class's name, the grade or the number. `long`, and `rle` with
    classes: column with the class's name, where it is not in the id."""
    class_separator: str = "_"
    """`long`, and `rle` with classes: what separates image and class in the id column, if there
    is no class_column."""
    value_column: str = "Label"
    """`long`: column with 0 or 1."""

    @model_validator(mode="after")
    def _column_is_named(self) -> LabelTable:
        if self.kind == "column" and self.class_column is None:
            raise ValueError('kind = "column" needs class_column')
        return self

    @model_validator(mode="after")
    def _masks_belong(self) -> LabelTable:
        if self.kind != "levels" and (self.kind == "masks") != bool(self.masks or self.class_masks):
            raise ValueError('masks or class_masks belong to kind = "masks", and that needs them')
        if self.masks and self.class_masks:
            raise ValueError("give masks, or class_masks for several masks per image, not both")
        if problem := levels_problem(self):
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
    dialect: DialectName = "siim"
    """Dialect of the run-length encoding."""
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


class CompetitionSettings(Strict):
    """What the competition is: files, labels, metric. A preset fills all but `data`."""

    preset: str | None = None
    """Name of a shipped preset; values given here replace those of the preset."""
    data: Path = Path("data")
    """Folder with the competition's files; a relative path is relative to goldfold.toml."""
    title: str = ""
    """Name shown to people."""
    task: TaskName = "segmentation"
    """What is predicted: a mask, or several that may overlap; exactly one class per pixel
    (`semantic-segmentation`); or, of the whole image, classes (`classification`), one of several
    ordered grades (`grades`) or a continuous number (`regression`)."""
    classes: list[str] = []
    """Names of the classes, in the order of the network's outputs; names of the grades from lowest
    to highest. With segmentation an image has a mask of each class; without any it has one mask.
    With semantic segmentation the first one is the background: the pixels of no other class, which
    the metric does not count."""
    output: GradeOutput = "classes"
    """Grades: what networks put out. `classes` = a probability for each grade, by cross-entropy;
    `regression` = one number, by squared or smooth absolute error; `ordinal` = the probability of
    each step between neighbouring grades, by binary cross-entropy."""
    number_range: tuple[float, float] | None = None
    """Regression: lowest and highest number that can occur, such as [0, 228] months."""
    mirrored: list[tuple[str, str]] = []
    """Classes of masks or pixels that an image's mirror image swaps: [["left", "right"]]."""
    exclusive: bool = False
    """Classification: an image has exactly one of the classes, not any number of them."""
    metric: Metric | OwnObject = "dice"
    """The competition's score: `dice`, `mean-iou` and `mean-iou-thresholds` of masks, with several
    classes the mean over images and classes (a class that is neither there nor predicted scores 1);
    `f2-iou-thresholds` of a mask's objects, one per row of the label table; `accuracy`, `f1`,
    `auroc` and `neg-log-loss` (minus the logarithmic loss) of classes; `quadratic-weighted-kappa`,
    `accuracy` and `mae` (mean absolute error) of grades; `mae` and `rmse` (root mean squared error)
    of numbers; or a function of your own, `module:object`, of masks or classes
    (docs/extending.md)."""
    metric_weights: dict[str, Annotated[float, Field(ge=0)]] = {}
    """neg-log-loss: weight of a class, 1 unless given, e.g. any = 2."""
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

    @property
    def is_classification(self) -> bool:
        """Whether classes are predicted, not masks."""
        return self.task == "classification"

    @property
    def of_numbers(self) -> bool:
        """Whether ordered grades or a continuous number of the whole image are predicted."""
        return self.task in NUMBER_TASKS

    @property
    def of_whole_images(self) -> bool:
        """Whether a network says something of the whole image, not of its pixels."""
        return self.is_classification or self.of_numbers

    @property
    def is_semantic(self) -> bool:
        """Whether each pixel has exactly one class."""
        return self.task == "semantic-segmentation"

    @property
    def image_classes(self) -> list[str]:
        """Names of the classes of whole images; none where masks are predicted."""
        return self.classes if self.of_whole_images else []

    @property
    def needs_sample(self) -> bool:
        """Whether a submission is written like a sample submission, not as a plain table."""
        return not self.of_whole_images or bool(self.submission.sample)

    @property
    def mask_classes(self) -> list[str]:
        """Names of the masks where an image has several; none where it has one, or classes.

        The background of semantic segmentation has none: it is what the others leave.
        """
        return [] if self.of_whole_images else self.classes[self.is_semantic :]

    @property
    def labelled_masks(self) -> list[str]:
        """Names of the masks in images.csv: those of the classes, and the ignored pixels."""
        return [*self.mask_classes, *([IGNORED] if self.labels.ignored_levels else [])]

    @property
    def mirror(self) -> tuple[int, ...]:
        """For each class the place of the one that a mirror makes of it; () where all stay."""
        other = {
            class_name: mirrored_name
            for pair in self.mirrored
            for class_name, mirrored_name in (pair, pair[::-1])
        }
        return tuple(
            self.classes.index(other.get(name, name)) for name in self.classes if self.mirrored
        )

    @property
    def compares_objects(self) -> bool:
        """Whether the metric compares the objects of masks, not their pixels."""
        return self.metric in OBJECT_METRICS

    @property
    def outputs(self) -> int:
        """How many numbers a network tells of an image, or of each of its pixels."""
        return outputs_of(self) if self.of_numbers else max(1, len(self.classes))

    @model_validator(mode="after")
    def _task_fits(self) -> CompetitionSettings:
        if self.of_numbers:
            check_numbers(self)
            return self
        if self.output != "classes" or self.number_range is not None:
            raise ValueError("output belongs to grades, number_range to regression")
        classifies = self.is_classification
        if classifies != (self.labels.kind in CLASS_KINDS):
            kinds = CLASS_KINDS if classifies else MASK_KINDS
            raise ValueError(
                f'task = "{self.task}" needs labels.kind {" or ".join(kinds)}, found '
                f'"{self.labels.kind}"'
            )
        if not is_reference(self.metric) and classifies != (self.metric in CLASS_METRICS):
            raise ValueError(f'metric "{self.metric}" is not one of {self.task}')
        if problem := class_map_problem(self):
            raise ValueError(problem)
        if classifies and (len(set(self.classes)) != len(self.classes) or not self.classes):
            raise ValueError("classification needs classes = [...], each once")
        if not classifies and (self.exclusive or self.images.crop != "none"):
            raise ValueError("exclusive and images.crop belong to classification")
        single = self.labels.kind in ("folders", "column")
        if single and not self.exclusive:
            raise ValueError(f'labels.kind = "{self.labels.kind}" needs exclusive = true')
        if classifies and self.exclusive and len(self.classes) < 2:
            raise ValueError("there must be at least two exclusive classes")
        self._check_masks()
        self._check_separators()
        self._check_objects()
        if unknown := [name for name in self.metric_weights if name not in self.classes]:
            raise ValueError(f"metric_weights names {unknown[0]!r}, which is no class")
        return self

    def _check_separators(self) -> None:
        """Raise ValueError where image and class are joined by what a class's name contains."""
        labels, form = self.labels, self.submission
        in_labels = labels.kind == "long" or (labels.kind == "rle" and bool(self.mask_classes))
        joints = [
            ("labels", labels.class_separator if in_labels and not labels.class_column else ""),
            ("submission", form.class_separator),
        ]
        for table, joint in joints:
            if joint and (bad := [name for name in self.classes if joint in name]):
                raise ValueError(
                    f"class {bad[0]!r} contains {joint!r}, which separates image and class in "
                    f"{table}.id_column; set {table}.class_column, or rename the class"
                )

    def _check_masks(self) -> None:
        """Raise ValueError unless the masks of each class can be found."""
        named, classes = self.labels.class_masks, self.mask_classes
        if len(set(classes)) != len(classes):
            raise ValueError("classes names a class twice")
        paired = [name for pair in self.mirrored for name in pair]
        if strange := [name for name in paired if name not in classes]:
            raise ValueError(f"mirrored names {strange[0]!r}, which is no class of masks")
        if len(set(paired)) != len(paired):
            raise ValueError("mirrored names a class twice")
        if named and set(named) != set(classes):
            raise ValueError(
                f"labels.class_masks names {', '.join(named)}; classes are "
                f"{', '.join(classes) or 'none'}"
            )
        if classes and self.labels.kind == "masks" and not named:
            raise ValueError("several masks per image need labels.class_masks")
        if len(classes) > MOST_MASKS and not self.is_semantic:
            raise ValueError(
                f"an image may have {MOST_MASKS} masks, found {len(classes)} classes. Where each "
                'pixel has exactly one class, set task = "semantic-segmentation"'
            )

    def _check_objects(self) -> None:
        """Raise ValueError unless a metric of objects can know them."""
        if not self.compares_objects:
            return
        if self.labels.kind != "rle":
            raise ValueError(
                f'metric "{self.metric}" needs the objects of each image, which are the rows of a '
                f'table: labels.kind "rle", found "{self.labels.kind}"'
            )
        if self.mask_classes:
            raise ValueError(
                f'metric "{self.metric}" is of one mask per image; leave classes out, or choose '
                f"another metric: {' or '.join(names_of(PixelMetric))}"
            )
        if self.submission.sample and not self.submission.objects:
            raise ValueError(
                f'metric "{self.metric}" compares objects, so a row of the submission has to be '
                "one: set submission.objects = true"
            )
        named = [*self.images.facts, *(name for table in self.tables for name in table.columns)]
        if "objects" in named:
            raise ValueError(
                f'metric "{self.metric}" keeps the objects in the column "objects" of images.csv: '
                "give the column of facts another name"
            )
