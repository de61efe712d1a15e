"""What goldfold.toml can say of the competition: task, classes, metric, and its files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from goldfold.errors import first_few
from goldfold.own_code import OwnObject, is_reference
from goldfold.settings_files import (
    ExtraTable,
    ImageFiles,
    LabelTable,
    Strict,
    SubmissionFormat,
)
from goldfold.settings_labels import label_rules_problem
from goldfold.settings_numbers import NUMBER_TASKS, check_numbers, outputs_of
from goldfold.settings_rows import PredictionRows, rows_problem
from goldfold.settings_semantic import IGNORED, class_map_problem
from goldfold.vocabulary import (
    ClassLabels,
    ClassMetric,
    GradeOutput,
    MaskLabels,
    Metric,
    ObjectMetric,
    PixelMetric,
    TaskName,
    names_of,
)

MASK_KINDS, CLASS_KINDS = names_of(MaskLabels), names_of(ClassLabels)
OBJECT_METRICS = names_of(ObjectMetric)
"""Those that compare the objects of a mask, not its pixels."""
MASK_METRICS = (*names_of(PixelMetric), *OBJECT_METRICS)
CLASS_METRICS = names_of(ClassMetric)
MOST_MASKS = 8
"""Masks an image may have: the image cache keeps a bit for each."""
LONGEST_NAME = 200
"""Characters of the name of a class."""
_SHOWN = 40


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
    classes: list[str] = Field([])
    """Names of the classes, in the order of the network's outputs; names of the grades from lowest
    to highest. With segmentation an image has a mask of each class; without any it has one mask.
    With semantic segmentation the first one is the background: the pixels of no other class, which
    the metric does not count."""
    output: GradeOutput = "classes"
    """Grades: the output of networks. `classes` = a probability for each grade, by cross-entropy;
    `regression` = one number, by squared or smooth absolute error; `ordinal` = the probability of
    each step between neighbouring grades, by binary cross-entropy."""
    number_range: tuple[float, float] | None = None
    """Regression: lowest and highest number that can occur, such as [0, 228] months."""
    mirrored: list[tuple[str, str]] = Field([])
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
    metric_weights: dict[str, Annotated[float, Field(ge=0)]] = Field({})
    """neg-log-loss: weight of a class, 1 unless given, e.g. any = 2."""
    images: ImageFiles = ImageFiles()
    """Where the images are."""
    labels: LabelTable = LabelTable()
    """Where the labels are."""
    tables: list[ExtraTable] = Field([])
    """Further facts: patient tables, depths, views."""
    submission: SubmissionFormat = SubmissionFormat()
    """The submission's form."""
    rows: PredictionRows | None = None
    """Which images make a row of the submission, where predictions are not made per image."""
    unlabelled: Literal["drop", "empty", "error"] = "drop"
    """Training images without a label row: leave out, take as empty masks, or stop."""
    most_unlabelled: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Stop if a larger share of the training images would be left out for want of a label row."""
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
    def background(self) -> str | None:
        """Name of the class that has no mask of its own, where each pixel has exactly one class."""
        return self.classes[0] if self.is_semantic else None

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

    @field_validator("classes")
    @classmethod
    def _classes_can_be_written(cls, names: list[str]) -> list[str]:
        # Refused here, because files of results refuse them once everything is trained.
        if bad := [_short(name) for name in names if not _can_be_written(name)]:
            raise ValueError(
                f"names of classes are printable text of 1 to {LONGEST_NAME} characters without "
                f'";" and without spaces at either end, found {first_few(bad)}'
            )
        return names

    @model_validator(mode="after")
    def _label_rules_fit(self) -> CompetitionSettings:
        if problem := label_rules_problem(self):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _task_fits(self) -> CompetitionSettings:
        if problem := rows_problem(self):
            raise ValueError(problem)
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
        if self.labels.kind == "lists" and self.exclusive:
            raise ValueError('labels.kind = "lists" names any number of classes: exclusive = false')
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


def _can_be_written(name: str) -> bool:
    """Return whether a class of this name is found in label tables and fits every file."""
    whole = name == name.strip() and name.isprintable() and ";" not in name
    return whole and 0 < len(name) <= LONGEST_NAME


def _short(name: str) -> str:
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")
