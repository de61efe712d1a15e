"""The schema of an exported model's model.json, and the files beside it that it may name.

Whoever sends a model folder is a stranger: numbers are bounded before anything is allocated for
them, and names are plain names of files inside the folder.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from goldfold.competitions.histogram import LEVELS
from goldfold.competitions.label_metric import CLIP
from goldfold.ensemble.model_code import CodeFile
from goldfold.errors import InputError, list_problems, plural
from goldfold.inference.views import get_views
from goldfold.own_code import OwnObject
from goldfold.settings import ViewName
from goldfold.settings_competition import MOST_MASKS, Strict
from goldfold.settings_semantic import MOST_CLASSES
from goldfold.settings_training import Extents, Size
from goldfold.vocabulary import (
    Crop,
    DialectName,
    MemberMerge,
    Metric,
    TaskName,
    ViewMerge,
    ViewSet,
)

MOST_BYTES = 1 << 26
"""Of model.json. Tables of a blend by rank are by far its largest part."""
MOST_NETWORKS = 10_000
REMEDY = "Export the run again, or ask whoever sent the model for a whole copy."

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)]
Words = Annotated[str, Field(max_length=200)]
Weight = Annotated[int, Field(ge=0, le=1_000_000)]
Level = Annotated[int, Field(ge=0, lt=LEVELS)]
Pixels = Annotated[int, Field(ge=0, lt=2**40)]
Counts = Annotated[list[Pixels], Field(min_length=LEVELS, max_length=LEVELS)]
Share = Annotated[float, Field(ge=0, le=1)]
Threshold = Annotated[float, Field(ge=0, le=1 + 2 * CLIP)]
"""Of a probability; just above 1 says no to all images (see `best_threshold`)."""
Quantiles = Annotated[
    list[Annotated[list[Share], Field(min_length=1, max_length=1000)]],
    Field(min_length=2, max_length=10_000),
]
Table = Annotated[list[dict[str, JsonValue]], Field(max_length=100_000)]
Thresholds = tuple[Level, Pixels, Level, Level]


class Reading(Strict):
    """How images are read."""

    windows: Annotated[
        list[
            tuple[
                float, Annotated[float, Field(gt=0)], Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
            ]
        ],
        Field(max_length=3),
    ]
    repair: bool
    crop: Crop
    stretch: bool = False

    @field_validator("windows")
    @classmethod
    def _wide_enough(cls, windows: list[tuple[float, float, str]]) -> list[Any]:
        if any(width < 1 for _, width, function in windows if function == "LINEAR"):
            raise ValueError("a LINEAR window has a width of 1 or more")
        return windows


class Inference(Strict):
    """How networks look at an image."""

    views: ViewSet | Annotated[list[ViewName], Field(min_length=1, max_length=64)]
    merge: ViewMerge
    tile: Size | None
    tile_overlap: Annotated[float, Field(ge=0.125, lt=1)]

    @field_validator("views")
    @classmethod
    def _views_exist(cls, views: str | list[str]) -> str | list[str]:
        try:
            get_views(views)
        except InputError as error:
            raise ValueError(str(error)) from None
        return views


class Steps(Strict):
    """Post-processing."""

    min_part_px: Pixels = 0
    largest: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    fill_holes: Literal[0, 1] = 0
    dilate_px: Annotated[int, Field(ge=0, le=256)] = 0


class ClassMask(Strict):
    """Blend and rule of the masks of one class."""

    name: Words
    merge: MemberMerge
    weights: Annotated[dict[Name, Weight], Field(min_length=1, max_length=1000)]
    rule: Thresholds
    post_processing: Steps
    level_counts: Annotated[dict[Name, Counts], Field(max_length=1000)]


class FoldWeights(Strict):
    """The files of one fold's training."""

    seed: Annotated[int, Field(ge=0)]
    fold: Annotated[int, Field(ge=0, le=1000)]
    weights: Annotated[list[Name], Field(min_length=1, max_length=1000)]

    @field_validator("weights")
    @classmethod
    def _safetensors(cls, names: list[str]) -> list[str]:
        if wrong := [name for name in names if not name.endswith(".safetensors")]:
            raise ValueError(f"expected names that end with .safetensors, found {wrong[0]!r}")
        return names


class Member(Strict):
    """One model of the blend."""

    name: Name
    weight: Weight
    channels: Literal[1, 3]
    image_size: Extents
    level_counts: Counts | Quantiles | None
    networks: Annotated[list[FoldWeights], Field(min_length=1, max_length=1000)]


class Scores(Strict):
    """Out of fold; shown to people, never computed with."""

    honest: dict[str, JsonValue] | None
    optimistic: float | None
    all_empty: float | None
    constant: float | None


class ModelFile(Strict):
    """The content of model.json."""

    format: Literal[1]
    goldfold: Words
    title: Words
    task: TaskName
    classes: Annotated[list[Words], Field(max_length=1000)]
    exclusive: bool
    mirror: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=MOST_CLASSES)] = Field([])
    metric: Metric | OwnObject
    """Of the scores; one of the user's own is only a name here, nothing computes it."""
    dialect: DialectName
    reading: Reading
    inference: Inference
    scores: Scores
    images: Annotated[int, Field(ge=0)] | dict[str, JsonValue]
    overlap: Table = Field([])
    measures: Table = Field([])
    merge: MemberMerge | None = None
    rule: Thresholds | None = None
    post_processing: Steps | None = None
    thresholds: Annotated[list[Threshold], Field(max_length=1000)] | None = None
    masks: Annotated[list[ClassMask], Field(min_length=1, max_length=MOST_MASKS)] | None = None
    pixel_classes: Annotated[list[Words], Field(min_length=2, max_length=MOST_CLASSES)] | None = (
        None
    )
    least_areas: Annotated[list[Pixels], Field(max_length=MOST_CLASSES)] | None = None
    members: Annotated[list[Member], Field(min_length=1, max_length=1000)]
    code: Annotated[list[CodeFile], Field(max_length=100)] = Field([])
    """Modules in the folder code/ whose objects build networks; nothing of them runs untrusted."""

    @field_validator("title", "goldfold")
    @classmethod
    def _printable(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("expected printable text")
        return text

    @field_validator("classes")
    @classmethod
    def _printable_classes(cls, names: list[str]) -> list[str]:
        if not all(name.isprintable() for name in names) or len(set(names)) != len(names):
            raise ValueError("expected printable names, each once")
        return names

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = [*self._blend_problems(), *self._member_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _blend_problems(self) -> list[str]:
        """Return what does not belong to the task, or is missing for it."""
        needed: dict[str, object] = {}
        if self.task == "classification":
            needed = {"classes": self.classes, "thresholds": self.thresholds, "merge": self.merge}
        elif self.task == "semantic-segmentation":
            needed = {"pixel_classes": self.pixel_classes, "merge": self.merge}
        elif self.masks is None:
            needed = {
                "merge": self.merge,
                "rule": self.rule,
                "post_processing": self.post_processing,
            }
        problems = [f"{name} is missing" for name, value in needed.items() if not value]
        if self.task != "classification" and self.classes:
            problems.append("classes belong to classification")
        if self.thresholds is not None and len(self.thresholds) != len(self.classes):
            problems.append(
                f"{plural(len(self.thresholds), 'threshold', 'thresholds')} for "
                f"{plural(len(self.classes), 'class', 'classes')}"
            )
        masks = self.pixel_classes or [one.name for one in self.masks or []]
        if self.pixel_classes and (self.task != "semantic-segmentation" or self.masks):
            problems.append("pixel_classes belong to semantic-segmentation, and have no masks")
        if self.pixel_classes and self.merge == "rank":
            problems.append("classes of pixels are not merged by rank")
        if len(self.least_areas or []) != len(self.pixel_classes or []):
            problems.append("expected one least area per class of pixels")
        if len(set(masks)) != len(masks) or not all(name.isprintable() for name in masks):
            problems.append("expected printable names of masks, each once")
        if self.mirror and sorted(self.mirror) != list(range(len(masks))):
            problems.append(f"mirror {self.mirror} does not name each of {len(masks)} masks once")
        return problems

    def _member_problems(self) -> list[str]:
        names = [one.name for one in self.members]
        problems = [] if len(set(names)) == len(names) else ["members have the same name"]
        if (
            sum(len(one.weights) for member in self.members for one in member.networks)
            > MOST_NETWORKS
        ):
            problems.append(f"members name more than {MOST_NETWORKS:,} networks")
        windows = len(self.reading.windows)
        for member in self.members:
            if windows > 1 and member.channels != windows:
                problems.append(
                    f"member {member.name} has {member.channels} channels for {windows} windows"
                )
            if self.merge == "rank":
                problems += self._rank_problems(member)
        for mask in self.masks or []:
            problems += _weight_problems(f"mask {mask.name!r}", mask.weights, names)
            counted = {name for name, weight in mask.weights.items() if weight}
            if mask.merge == "rank" and (lost := counted - set(mask.level_counts)):
                problems.append(f"mask {mask.name!r} lacks level_counts of {min(lost)}")
        if self.masks is None:
            weights = {one.name: one.weight for one in self.members}
            problems += _weight_problems("the blend", weights, names)
        return problems

    def _rank_problems(self, member: Member) -> list[str]:
        """Return what is wrong with the table in which a member's ranks are counted."""
        table, classes = member.level_counts, len(self.classes)
        if self.task == "classification":
            fits = table and all(isinstance(row, list) and len(row) == classes for row in table)
        else:
            fits = table and not any(isinstance(row, list) for row in table)
        return [] if fits else [f"member {member.name} lacks level_counts to merge by rank"]


def _weight_problems(where: str, weights: dict[str, int], names: list[str]) -> list[str]:
    """Return what is wrong with the weights of members; one of weight 0 may have been left out."""
    problems = [
        f"{where} weighs {name!r}, which is not a member"
        for name, weight in weights.items()
        if weight and name not in names
    ]
    if not any(weights.values()):
        problems.append(f"{where} needs a weight above 0")
    return problems


def check_weight_files(folder: Path, source: Path, model: ModelFile) -> None:
    """Accept a model whose files are all there, inside the folder, each named once.

    Args:
        folder: of the model.
        source: its model.json, for the message.
        model: its content.

    Raises:
        InputError: lists every file that is missing, named twice, or outside the folder.
    """
    weights = folder / "weights"
    networks = chain.from_iterable(member.networks for member in model.members)
    names = list(chain.from_iterable(one.weights for one in networks))
    problems = [
        f"weights {name} are named {count} times (upper and lower case count as the same)"
        for name, count in Counter(name.casefold() for name in names).items()
        if count > 1
    ]
    for name in dict.fromkeys(names):
        path = weights / name
        problems += [
            problem
            for file in (path, path.with_suffix(".json"))
            if (problem := _file_problem(file, folder))
        ]
    if problems:
        count = plural(len(problems), "problem", "problems")
        raise InputError(list_problems(f"{source} has {count}:", problems, REMEDY))


def _file_problem(path: Path, folder: Path) -> str:
    """Return why a file of a model cannot be read, "" if it can."""
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return f"{path} is a link out of the folder; copy the file itself there"
        return "" if path.is_file() else f"{path} is missing, or not a regular file"
    except (OSError, RuntimeError) as error:  # a circle of links
        return f"{path} cannot be read: {error}"
