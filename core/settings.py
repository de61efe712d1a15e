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
from goldfold.settings_training import (
    Loss,
    ModelSettings,
    PseudoLabelled,
    RateSchedule,
    Sampling,
    Seed,
    StageSettings,
    TrainingSettings,
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
    presence_gate: Literal["auto", "off"] = "auto"
    """Empty masks by the presence head: `auto` where the honest score is better with it."""
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
