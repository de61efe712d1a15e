"""The schema of an exported model's model.json, and the files beside it that it may name.

Whoever sends a model folder is a stranger: numbers are bounded before anything is allocated for
them, and names are plain names of files inside the folder.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from goldfold.competitions.reading import PERCENTILES
from goldfold.ensemble.decision_fields import Words
from goldfold.errors import InputError, list_problems, plural
from goldfold.inference.views import get_views
from goldfold.metric_names import MetricText
from goldfold.own_code import OwnObject
from goldfold.pipeline.model_code import CodeFile
from goldfold.settings import ViewName
from goldfold.settings_dialect import DialectSetting
from goldfold.settings_files import Percent, Strict
from goldfold.settings_training import MOST_NEIGHBOURS, Size, SizeSetting
from goldfold.vocabulary import (
    Crop,
    Metric,
    Pages,
    Stretch,
    TaskName,
    ViewMerge,
    ViewSet,
)

if TYPE_CHECKING:
    from goldfold.tasks.image_decision import ImageDecision

FORMAT = 2
"""Of model.json."""
MOST_BYTES = 1 << 26
"""Of model.json. Tables of a blend by rank are by far its largest part."""
MOST_NETWORKS = 10_000
REMEDY = "Export the run again, or ask whoever sent the model for a whole copy."

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)]
MaskSide = Annotated[int, Field(ge=1, le=1 << 14)]
Table = Annotated[list[dict[str, JsonValue]], Field(max_length=100_000)]


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
    stretch: bool | Stretch = False
    percentiles: tuple[Percent, Percent] = PERCENTILES
    pages: Pages = "error"

    @field_validator("percentiles")
    @classmethod
    def _ordered(cls, percentiles: tuple[float, float]) -> tuple[float, float]:
        if percentiles[0] >= percentiles[1]:
            raise ValueError("percentiles begin below where they end")
        return percentiles

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
    channels: Literal[1, 3]
    neighbours: Annotated[
        list[Annotated[int, Field(ge=-100, le=100)]], Field(max_length=MOST_NEIGHBOURS)
    ] = Field([])
    """Places, relative to an image, of those that its networks are shown as channels."""
    image_size: SizeSetting
    networks: Annotated[list[FoldWeights], Field(min_length=1, max_length=1000)]


class Scores(Strict):
    """Out of fold; shown to people, never computed with."""

    honest: dict[str, JsonValue] | None
    optimistic: float | None
    all_empty: float | None
    constant: float | None


class ModelFile(Strict):
    """The content of model.json."""

    format: Literal[2]
    goldfold: Words
    title: Words
    task: TaskName
    mirror: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=1000)]
    metric: Metric | MetricText | OwnObject
    """Of the scores; one of the user's own is only a name here, nothing computes it."""
    dialect: DialectSetting
    mask_size: tuple[MaskSide, MaskSide] | None = None
    """Height and width of all masks; None = of their image."""
    reading: Reading
    inference: Inference
    scores: Scores
    images: Annotated[int, Field(ge=0)] | dict[str, JsonValue]
    measures: Table
    decision: dict[str, JsonValue]
    """Blend and thresholds; the task checks them (`read_decision`)."""
    members: Annotated[list[Member], Field(min_length=1, max_length=1000)]
    code: Annotated[list[CodeFile], Field(max_length=100)] = Field([])
    """Modules in the folder code/ whose objects build networks; nothing of them runs untrusted."""

    @field_validator("title", "goldfold")
    @classmethod
    def _printable(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("expected printable text")
        return text

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [member.name for member in self.members]
        problems = [] if len(set(names)) == len(names) else ["members have the same name"]
        if (
            sum(len(fold.weights) for member in self.members for fold in member.networks)
            > MOST_NETWORKS
        ):
            problems.append(f"members name more than {MOST_NETWORKS:,} networks")
        windows = len(self.reading.windows)
        problems += [
            f"member {member.name} has {member.channels} channels for {windows} windows"
            for member in self.members
            if windows > 1 and member.channels != windows
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def check_decision(source: Path, model: ModelFile, decision: ImageDecision) -> None:
    """Accept a decision that the members of a model can be judged by.

    Raises:
        InputError: it weighs members that there are not, or the mirror does not fit.
    """
    names = {member.name for member in model.members}
    problems = [
        f"decision weighs {name!r}, which is not a member"
        for name, weight in decision.weights.items()
        if weight and name not in names
    ]
    problems += [
        f"decision gives member {name!r} no weight"
        for name in sorted(names)
        if not decision.weights.get(name)
    ]
    if model.mirror and sorted(model.mirror) != list(range(decision.mirrored_outputs)):
        problems.append(
            f"mirror {model.mirror} does not name each of {decision.mirrored_outputs} masks once"
        )
    if problems:
        count = plural(len(problems), "problem", "problems")
        raise InputError(list_problems(f"{source} has {count}:", problems, REMEDY))


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
    names = list(chain.from_iterable(fold.weights for fold in networks))
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
