"""What goldfold.toml can say: one model for each table, a docstring for each field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from goldfold.errors import did_you_mean, plural
from goldfold.settings_competition import (
    CompetitionSettings,
    ExtraTable,
    ImageFiles,
    LabelTable,
    Strict,
    SubmissionFormat,
)

__all__ = [
    "CompetitionSettings",
    "EnsembleSettings",
    "ExtraTable",
    "FoldSettings",
    "ImageFiles",
    "InferenceSettings",
    "LabelTable",
    "Loss",
    "ModelSettings",
    "Sampling",
    "Settings",
    "StageSettings",
    "Strict",
    "SubmissionFormat",
    "SubmissionSettings",
]

# The recipes of goldfold.training.augmentation.
AugmentationName = Literal["none", "flip", "light", "strong"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seed = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=32, le=4096, multiple_of=32)]


class FoldSettings(Strict):
    """How the training images are split."""

    count: Annotated[int, Field(ge=2, le=20)] = 5
    """Number of folds."""
    seed: Seed = 0
    """Seed of the split."""
    group: str = "patient"
    """Column of images.csv whose equal values stay together; `none` for no groups."""
    area_bins: Annotated[int, Field(ge=1, le=20)] = 4
    """Quantiles of the mask area that are spread evenly, beside presence."""
    train: list[int] | None = None
    """Folds to train and to score; all unless given. The others are only ever trained on."""

    @model_validator(mode="after")
    def _train_exists(self) -> FoldSettings:
        if self.train is None:
            return self
        bad = [fold for fold in self.train if not 0 <= fold < self.count]
        if bad or not self.train or len(set(self.train)) != len(self.train):
            raise ValueError(
                f"train = {self.train} must name different folds between 0 and {self.count - 1}"
            )
        return self


class Sampling(Strict):
    """Fraction of images with a non-empty mask in an epoch."""

    schedule: Literal["constant", "linear", "cosine", "natural"] = "natural"
    """How the fraction goes over the epochs; `natural` takes every image once."""
    start: Fraction | Literal["natural"] = 0.5
    """Fraction in the first epoch (and in all, if constant)."""
    end: Fraction | Literal["natural"] = "natural"
    """Fraction in the last epoch."""


class Loss(Strict):
    """Weights of the summed losses."""

    bce: Annotated[float, Field(ge=0)] = 1.0
    """Binary cross-entropy over pixels."""
    dice: Annotated[float, Field(ge=0)] = 1.0
    """Soft Dice over the batch."""

    @model_validator(mode="after")
    def _some(self) -> Loss:
        if self.bce + self.dice <= 0:
            raise ValueError("at least one weight must be above 0")
        return self


class StageSettings(Strict):
    """One stage of training."""

    epochs: Annotated[int, Field(ge=1)] = 12
    """Epochs; their length follows from the sampling schedule."""
    image_size: Size = 512
    """Height and width in pixels to which images are resized for training."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Images in a step."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Highest learning rate; falls to zero along a half cosine."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """AdamW's decoupled weight decay."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    """Epochs in which the learning rate rises linearly from zero."""
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient."""
    sampling: Sampling = Sampling()
    """Non-empty fraction over the epochs."""
    loss: Loss = Loss()
    """What is minimised."""
    augmentation: AugmentationName = "light"
    """Augmentation recipe: none, flip, light or strong."""
    keep_checkpoints: Annotated[int, Field(ge=1)] = 3
    """Best checkpoints kept, by the validation metric."""
    validate_every: Annotated[int, Field(ge=1)] = 1
    """Validate after every so many epochs, and always after the last."""
    validate_from: Annotated[int, Field(ge=1)] = 1
    """First epoch that is validated."""


class ModelSettings(Strict):
    """One model: network, input, seeds and stages of training."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "unet-resnet34"
    """Name of its folder below models/ and predictions/."""
    architecture: str = "Unet"
    """Class of segmentation_models_pytorch."""
    encoder: str = "resnet34"
    """Encoder by its name in segmentation_models_pytorch (`tu-NAME` for any of timm)."""
    encoder_weights: str = "none"
    """`none`, a published set such as `imagenet`, or a .safetensors file of the encoder."""
    channels: Literal[1, 3] = 1
    """Input channels: 1 = gray, 3 = gray three times or colour."""
    options: dict[str, str | int | float | bool | list[int]] = Field({})
    """Further arguments of the architecture, e.g. decoder_attention_type = "scse"."""
    seeds: list[Seed] = Field([0], min_length=1)
    """One training of every fold a seed."""
    stages: list[StageSettings] = Field([StageSettings()], min_length=1)
    """Stages of training, in order."""

    @field_validator("stages")
    @classmethod
    def _one_stage(cls, stages: list[StageSettings]) -> list[StageSettings]:
        if len(stages) > 1:
            raise ValueError("this version trains one stage a model; keep the first table only")
        return stages

    @field_validator("seeds")
    @classmethod
    def _different(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"seeds must be different, found {seeds}")
        return seeds


class InferenceSettings(Strict):
    """How predictions are made."""

    checkpoints: Annotated[int, Field(ge=1)] = 3
    """Best checkpoints of each fold whose probabilities are averaged."""
    views: Literal["none", "hflip"] = "hflip"
    """Test-time augmentation."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Images in a forward pass."""
    allow_missing_folds: bool = False
    """Predict although a fold of a model has no finished training."""


class EnsembleSettings(Strict):
    """How members are blended and thresholds chosen."""

    members: list[str] | None = None
    """Names of the models to blend; all unless given."""
    weights: list[Annotated[int, Field(ge=0)]] | None = None
    """Whole-numbered weight of each member; equal unless given."""
    min_area_candidates: Annotated[int, Field(ge=1)] | None = None
    """Upper bound on different min_area values tried; None = all of them (exact)."""
    bootstrap_samples: Annotated[int, Field(ge=100)] = 2000
    """Resamplings of groups behind the interval of the honest score."""
    seed: Seed = 0
    """Seed of the bootstrap."""


class SubmissionSettings(Strict):
    """How the submission is written."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.csv$")] = "submission.csv"
    """Name in the run directory."""

    @field_validator("file")
    @classmethod
    def _free(cls, file: str) -> str:
        if file in ("images.csv", "folds.csv"):
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
    inference: InferenceSettings = InferenceSettings()
    """Prediction."""
    ensemble: EnsembleSettings = EnsembleSettings()
    """Blend and thresholds."""
    submission: SubmissionSettings = SubmissionSettings()
    """The submission."""
    workers: Annotated[int, Field(ge=0)] | None = None
    """Threads that decode images and make batches; None = the processor's cores, at most 8."""

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
        if weights is not None and len(weights) != count:
            values = plural(len(weights), "value", "values")
            members_in_words = plural(count, "member", "members")
            raise ValueError(f"ensemble.weights has {values} for {members_in_words}")
        return self
