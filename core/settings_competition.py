"""What goldfold.toml can say of the competition: task, classes, metric, and its files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from goldfold.errors import first_few
from goldfold.metric_names import (
    MetricText,
    metric_name,
    metric_problem,
    metrics_of,
    wrong_metric,
)
from goldfold.own_code import OwnObject
from goldfold.settings_files import (
    ExtraTable,
    ImageFiles,
    LabelTable,
    Strict,
    SubmissionFormat,
)
from goldfold.settings_labels import label_rules_problem
from goldfold.settings_masks import check_masks, check_separators
from goldfold.settings_metric import objects_problem, weights_problem
from goldfold.settings_numbers import NUMBER_TASKS, check_numbers, outputs_of
from goldfold.settings_rows import PredictionRows, rows_problem
from goldfold.settings_semantic import IGNORED, class_map_problem
from goldfold.vocabulary import (
    ClassLabels,
    GradeOutput,
    MaskLabels,
    Metric,
    ObjectMetric,
    ShapeMetric,
    TaskName,
    Unreadable,
    names_of,
)

MASK_KINDS, CLASS_KINDS = names_of(MaskLabels), names_of(ClassLabels)
OBJECT_METRICS = names_of(ObjectMetric)
"""Those that compare the objects of a mask, not its pixels."""
MASK_METRICS, CLASS_METRICS = metrics_of("segmentation"), metrics_of("classification")
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
    metric: Metric | MetricText | OwnObject = "dice"
    """The competition's score, better when higher; docs/glossary.md defines each. Masks: `dice`,
    `mean-iou`, `mean-iou-thresholds`, `dice-hausdorff`, with several classes the mean over images
    and classes; `global-dice` and `global-iou` over the pixels of all images;
    `f2-iou-thresholds` and `ap-iou-thresholds` of a mask's objects, one per row of the label table.
    Classes: `accuracy`, `balanced-accuracy`, `f1`, `macro-f1`, `micro-f1`, `pf-beta`, `auroc`,
    `weighted-auroc`, `mean-average-precision` and `neg-log-loss` (minus the logarithmic loss).
    Grades: `quadratic-weighted-kappa`, `accuracy`, `balanced-accuracy`, `macro-f1`, `mae` and
    `rmse`. Numbers: `mae` and `rmse`. What a metric can be told stands behind its name, as in
    `pf-beta(beta=2)` or `dice(both_empty=0)`. Or a function of your own, `module:object`
    (docs/extending.md)."""
    metric_weights: dict[str, Annotated[float, Field(ge=0)]] = Field({})
    """Metrics that are means over classes: weight of a class, 1 unless given, e.g. any = 2."""
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
    unreadable: Unreadable = "error"
    """Damaged images: stop, or leave out, which decodes every image when images.csv is made. A test
    image that is left out is submitted as an empty mask; other tasks stop."""

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
    def mask_size(self) -> tuple[int, int] | None:
        """Height and width at which all masks are predicted and scored; None = of their image."""
        return self.submission.size

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
    def predicts_every_row(self) -> bool:
        """Whether a test image that is left out has a row for which no empty mask stands in."""
        return self.of_whole_images and bool(self.submission.sample)

    @property
    def mask_classes(self) -> list[str]:
        """Names of the masks where an image has several; none where it has one, or classes.

        The background of semantic segmentation has none: it is what the others leave.
        """
        return [] if self.of_whole_images else self.classes[self.is_semantic :]

    @property
    def labelled_masks(self) -> list[str]:
        """Names of the masks in images.csv: those of the classes, and the ignored pixels."""
        return [*self.mask_classes, *([IGNORED] if self.labels.ignored_values else [])]

    @property
    def masks_ignored(self) -> bool:
        """Whether masks, not classes of pixels, have ignored pixels."""
        return bool(self.labels.ignored_values) and not self.is_semantic

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
        return metric_name(self.metric) in OBJECT_METRICS

    @property
    def compares_whole_masks(self) -> bool:
        """Whether the metric compares objects or shapes, which some pixels do not tell."""
        return metric_name(self.metric) in (*OBJECT_METRICS, *names_of(ShapeMetric))

    @property
    def outputs(self) -> int:
        """How many numbers a network tells of an image, or of each of its pixels."""
        return outputs_of(self) if self.of_numbers else max(1, len(self.classes))

    @field_validator("metric", mode="before")
    @classmethod
    def _metric_is_known(cls, metric: Any) -> Any:
        if isinstance(metric, str) and (problem := metric_problem(metric)):
            raise ValueError(problem)
        return metric

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
        if problem := wrong_metric(self.metric, self.task):
            raise ValueError(problem)
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
        check_masks(self)
        check_separators(self)
        if problem := objects_problem(self) or weights_problem(self):
            raise ValueError(problem)
        return self


def _can_be_written(name: str) -> bool:
    """Return whether a class of this name is found in label tables and fits every file."""
    whole = name == name.strip() and name.isprintable() and ";" not in name
    return whole and 0 < len(name) <= LONGEST_NAME


def _short(name: str) -> str:
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")
