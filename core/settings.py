"""What goldfold.toml can say: one model for each table, a docstring for each field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from goldfold.errors import did_you_mean, plural
from goldfold.own_code import is_reference
from goldfold.settings_augmentation import Augmentation
from goldfold.settings_competition import CompetitionSettings
from goldfold.settings_ensemble import EnsembleSettings, GivenRule
from goldfold.settings_files import (
    ExtraTable,
    ImageFiles,
    ImageSequence,
    LabelTable,
    Strict,
    SubmissionFormat,
)
from goldfold.settings_folds import FoldSettings
from goldfold.settings_loss import Loss
from goldfold.settings_numbers import check_number_loss
from goldfold.settings_questions import Questions
from goldfold.settings_semantic import semantic_conflicts, semantic_problem
from goldfold.settings_training import (
    ModelSettings,
    PseudoLabelled,
    RateSchedule,
    Sampling,
    Size,
    SizeSetting,
    StageSettings,
    TrainingSettings,
)
from goldfold.vocabulary import (
    Engine,
    Stacking,
    ViewMerge,
    ViewSet,
    WeightAverage,
    WeightSearch,
    names_of,
)

# A part of goldfold.inference.views, or several joined by +.
_PART = r"(hflip|vflip|rot90|rot180|rot270|scale-[0-9.]+)"
VIEW_PATTERN = rf"^(none|{_PART}(\+{_PART})*)$"
ViewName = Annotated[str, Field(pattern=VIEW_PATTERN)]

__all__ = [
    "Augmentation",
    "CompetitionSettings",
    "EnsembleSettings",
    "ExtraTable",
    "FoldSettings",
    "GivenRule",
    "ImageFiles",
    "ImageSequence",
    "InferenceSettings",
    "LabelTable",
    "Loss",
    "ModelSettings",
    "PseudoLabelled",
    "RateSchedule",
    "Sampling",
    "Settings",
    "StageSettings",
    "Strict",
    "SubmissionFormat",
    "SubmissionSettings",
    "TrainingSettings",
]


CLASSIFIERS = ("Classifier", "PlainCnn")
"""Architectures that give classes, not masks."""


ONLY_FOR_MASKS = (
    "folds.area_bins",
    "inference.tile",
    "inference.tile_overlap",
    "ensemble.rule",
    "ensemble.thresholds",
    "ensemble.post_processing",
    "ensemble.min_area_candidates",
    "ensemble.presence_gate",
)
"""Settings that mean nothing where classes are predicted; `leave_empty` names classes of masks."""


def fits_task(architecture: str, classifies: bool) -> bool:
    """Return whether an architecture sees whole images, or pixels; the user's own do either."""
    return is_reference(architecture) or (architecture in CLASSIFIERS) == classifies


def _check_stage(name: str, stage: StageSettings, competition: CompetitionSettings) -> None:
    """Raise ValueError where a stage asks for what its task does not have."""
    loss, classes = stage.loss, competition.classes
    if competition.of_numbers:
        check_number_loss(name, loss, competition)
        return
    if wrong := [f"loss.{part}" for part in ("mse", "smooth_l1") if part in loss.parts]:
        raise ValueError(f"{name}: {' and '.join(wrong)} belong to grades and regression")
    if competition.is_semantic:
        if problem := semantic_problem(stage):
            raise ValueError(f"{name}: {problem}")
    elif not competition.is_classification:
        wrong = [setting for setting in ("cross_entropy", "smoothing", "class_weights")
                 if getattr(loss, setting)]  # fmt: skip
        wrong = [f"loss.{setting}" for setting in wrong]
        wrong += [setting for setting in ("mixup", "cutmix") if getattr(stage, setting)]
        if wrong:
            raise ValueError(f"{name}: {' and '.join(wrong)} belong to classification")
        return
    elif loss.of_masks_only:
        raise ValueError(f"{name}: loss.{loss.of_masks_only[0]} needs masks; set it to 0")
    elif loss.cross_entropy and not competition.exclusive:
        raise ValueError(f"{name}: loss.cross_entropy needs competition.exclusive = true; use bce")
    weights = loss.class_weights
    if isinstance(weights, dict) and (
        bad := [class_name for class_name in weights if class_name not in classes]
    ):
        raise ValueError(f"{name}: loss.class_weights names {bad[0]!r}, which is no class")


class InferenceSettings(Strict):
    """How predictions are made."""

    checkpoints: Annotated[int, Field(ge=1)] = 3
    """Best checkpoints of each fold whose probabilities are averaged."""
    average: Literal["off", "best", WeightAverage, "auto"] = "off"
    """Average those checkpoints' weights instead of their probabilities; `auto` takes what
    `goldfold ensemble average` found best."""
    views: ViewSet | Annotated[list[ViewName], Field(min_length=1)] = "hflip"
    """Test-time augmentation: a name, or a list such as ["none", "hflip+rot90", "scale-1.25"]."""
    merge: ViewMerge = "mean"
    """Which mean of the probabilities of checkpoints and views."""
    image_size: SizeSetting | None = None
    """Height and width in pixels of the network's input; that of the last stage unless given."""
    tile: Size | None = None
    """Side in pixels of overlapping tiles, for images too large for the memory; None = whole."""
    tile_overlap: Annotated[float, Field(ge=0.125, lt=1)] = 0.5
    """Share of a tile that the next one covers again."""
    engine: Literal["auto", Engine] = "auto"
    """What runs the networks; `auto` compiles where a measurement says that it pays."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Images in a forward pass; where memory does not suffice they pass in halves."""
    allow_missing_folds: bool = False
    """Predict although a fold of a model has no finished training."""


class SubmissionSettings(Strict):
    """How the submission is written."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.csv$")] = "submission.csv"
    """Name in the run directory."""

    @field_validator("file")
    @classmethod
    def _free(cls, file: str) -> str:
        if file in ("images.csv", "folds.csv", "metrics.csv", "test-metrics.csv"):
            raise ValueError("the run directory has another file of that name")
        return file


class Settings(Strict):
    """Everything that describes a run."""

    competition: CompetitionSettings = CompetitionSettings()
    """The competition."""
    folds: FoldSettings = FoldSettings()
    """The split."""
    models: list[ModelSettings] = Field([ModelSettings()], min_length=1)
    """The models."""
    training: TrainingSettings = TrainingSettings()
    """How the machine trains them."""
    inference: InferenceSettings = InferenceSettings()
    """Prediction."""
    ensemble: EnsembleSettings = EnsembleSettings()
    """Blend and thresholds."""
    submission: SubmissionSettings = SubmissionSettings()
    """The submission."""
    workers: Annotated[int, Field(ge=0)] | None = None
    """Threads that decode images and make batches; None = the processor's cores, at most 8."""
    questions: Questions = Field({}, exclude=True)
    """What the data cannot decide: setting = question. `check`, `folds build`, `train run` and
    `run` stop while there are any. Set each setting and delete its line, or use `goldfold config
    answer`."""

    @field_validator("models")
    @classmethod
    def _names(cls, models: list[ModelSettings]) -> list[ModelSettings]:
        names = [model.name for model in models]
        if len(set(names)) != len(names):
            raise ValueError(f"model names must be different, found {names}")
        return models

    @model_validator(mode="after")
    def _checkpoints_are_kept(self) -> Settings:
        wanted = self.inference.checkpoints
        for model in self.models:
            kept = model.stages[-1].keep_checkpoints
            if kept < wanted:
                raise ValueError(
                    f"inference.checkpoints is {wanted}, but model {model.name} keeps "
                    f"{plural(kept, 'checkpoint', 'checkpoints')}: set its keep_checkpoints to "
                    f"{wanted} or inference.checkpoints to {kept}"
                )
        return self

    @model_validator(mode="after")
    def _masks_alone_have_these(self) -> Settings:
        if not self.competition.of_whole_images:
            return self
        binned = ["folds.area_bins"] if self.competition.task == "regression" else []
        given = [name for name in ONLY_FOR_MASKS if name not in binned and self._differs(name)]
        given += [
            f'model {model.name}: sampling.weight_by = "area"'
            for model in self.models
            if any(stage.sampling.weight_by == "area" for stage in model.stages)
        ]
        if given:
            raise ValueError(f"{' and '.join(given)} cannot be set where no masks are predicted")
        return self

    @model_validator(mode="after")
    def _numbers_are_blended_plainly(self) -> Settings:
        if not self.competition.of_numbers:
            return self
        if self.ensemble.calibration != "none" or self.ensemble.weights in names_of(Stacking):
            raise ValueError(
                f"ensemble.calibration and stacking are for masks and classes, not for "
                f'{self.competition.task}: set calibration = "none" and weights to one of '
                f"{', '.join(names_of(WeightSearch))}"
            )
        if self.competition.task == "regression" and self.ensemble.merge == "rank":
            raise ValueError(
                'ensemble.merge = "rank" tells the order of images, not a number: choose mean, '
                "geometric or logit"
            )
        return self

    def _differs(self, setting: str) -> bool:
        """Return whether a setting, TABLE.NAME, has another value than unless given."""
        table, _, name = setting.partition(".")
        values = getattr(self, table)
        return bool(getattr(values, name) != type(values).model_fields[name].default)

    @model_validator(mode="after")
    def _semantic_has_one_decision(self) -> Settings:
        if self.competition.is_semantic and (
            problem := semantic_conflicts(self.models, self.ensemble)
        ):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _empty_classes_are_classes(self) -> Settings:
        known = self.competition.mask_classes
        if unknown := [name for name in self.ensemble.leave_empty if name not in known]:
            raise ValueError(
                f"ensemble.leave_empty names {unknown[0]!r}; the competition's masks are "
                f"{', '.join(known) or 'one per image'}.{did_you_mean(unknown[0], known)}"
            )
        return self

    @model_validator(mode="after")
    def _weights_fit_the_metric(self) -> Settings:
        weights = self.ensemble.weights
        searched = weights in names_of(WeightSearch)[1:]
        if self.competition.compares_whole_masks and searched:
            raise ValueError(
                f'ensemble.weights = "{weights}" searches on some pixels of each image, which do '
                f'not tell what metric "{self.competition.metric}" compares: set '
                'ensemble.weights = "equal" or "logistic" (with merge = "logit"), or give the '
                "weights"
            )
        return self

    @model_validator(mode="after")
    def _models_fit_the_task(self) -> Settings:
        classifies = self.competition.of_whole_images
        windows = len(self.competition.images.windows)
        for model in self.models:
            if not fits_task(model.architecture, classifies):
                names = " or ".join(CLASSIFIERS)
                raise ValueError(
                    f"model {model.name} has architecture {model.architecture}, but "
                    f"{names} {'are' if classifies else 'are not'} what {self.competition.task} "
                    "needs"
                )
            if model.neighbours and self.competition.images.sequence is None:
                raise ValueError(
                    f"model {model.name} has neighbours, but nothing says which images are "
                    "neighbours: set competition.images.sequence to the columns of images.csv that "
                    'tell, e.g. { group = ["case", "day"], order = "slice" }'
                )
            if windows > 1 and model.channels != windows:
                raise ValueError(
                    f"model {model.name} has channels = {model.channels}, but competition.images "
                    f"has {windows} windows: set channels = {windows}"
                )
            for number, stage in enumerate(model.stages, 1):
                _check_stage(f"model {model.name}, stage {number}", stage, self.competition)
        return self

    @model_validator(mode="after")
    def _members_are_models(self) -> Settings:
        names = [model.name for model in self.models]
        members = self.ensemble.members
        for member in members or []:
            if member not in names:
                raise ValueError(
                    f"ensemble.members names {member!r}, but the models are {', '.join(names)}."
                    f"{did_you_mean(member, names)}"
                )
        weights, count = self.ensemble.weights, len(names if members is None else members)
        if self.ensemble.runs:  # how many members they have is known when they are opened
            return self
        if not isinstance(weights, str) and len(weights) != count:
            values = plural(len(weights), "value", "values")
            members_in_words = plural(count, "member", "members")
            raise ValueError(f"ensemble.weights has {values} for {members_in_words}")
        return self
