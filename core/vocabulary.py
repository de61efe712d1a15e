"""The names that settings may take, each list once.

Settings, implementations, exported models and messages all take the names from here; a test holds
the implementations to them. `names_of` gives the names of a Literal as a tuple.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

# Metrics, better when higher.
PixelMetric = Literal["dice", "mean-iou", "mean-iou-thresholds"]
ObjectMetric = Literal["f2-iou-thresholds"]
ClassMetric = Literal["accuracy", "f1", "auroc", "neg-log-loss"]
GradeMetric = Literal["quadratic-weighted-kappa", "accuracy", "mae"]
NumberMetric = Literal["mae", "rmse"]
Metric = Literal[PixelMetric, ObjectMetric, ClassMetric, GradeMetric, NumberMetric]
GradeOutput = Literal["classes", "regression", "ordinal"]

# Training.
AugmentationLevel = Literal["none", "flip", "light", "strong", "siim-1st-place", "siim-4th-place"]
Distortion = Literal["elastic", "grid", "optical"]
SamplingSchedule = Literal["constant", "linear", "cosine", "steps", "natural", "positives-only"]
RateScheduleName = Literal[
    "cosine", "warm-restarts", "one-cycle", "plateau", "polynomial", "constant"
]
OptimizerName = Literal["adamw", "adam", "sgd"]
DiceOver = Literal["batch", "image"]
StartWeights = Literal["best", "last", "averaged"]
FrozenPart = Literal["encoder", "batchnorm"]
PixelLoss = Literal[
    "bce", "dice", "focal", "lovasz", "tversky", "cross_entropy", "mse", "smooth_l1"
]
Precision = Literal["bf16", "fp16", "float32", "float32-strict"]

# Prediction.
ViewSet = Literal["none", "hflip", "d4", "multiscale"]
ViewMerge = Literal["mean", "geometric", "logit"]
Engine = Literal["torch", "compile", "openvino"]
WeightAverage = Literal["uniform", "greedy"]

# Ensemble.
MemberMerge = Literal[ViewMerge, "rank"]
WeightSearch = Literal["equal", "hill-climb", "simplex"]
Stacking = Literal["logistic", "ridge"]
WeightChoice = Literal[WeightSearch, Stacking]
CalibrationCurve = Literal["isotonic", "platt"]
Calibration = Literal["none", CalibrationCurve]
STACKED_ON: dict[str, MemberMerge] = {"logistic": "logit", "ridge": "mean"}
"""What each stacking is a regression on, by the merge that averages it."""
RuleChoice = Literal["centre", "peak"]

# Folds.
FoldKind = Literal["balanced", "leave-one-out", "ordered", "file"]

# Rows of a submission that are groups of images.
RowAggregate = Literal["mean", "max", "noisy-or"]
RowTruth = Literal["same", "any", "mean"]

# Files.
DialectName = Literal["siim", "kaggle", "kaggle-dash", "row-major", "row-major-0"]
MaskLabels = Literal["rle", "masks", "levels"]
ClassLabels = Literal["folders", "column", "wide", "long", "lists"]
LabelKind = Literal[MaskLabels, ClassLabels]
IdForm = Literal["spaces", "ending", "folders", "root", "decimals", "zeros", "case"]
ClassSpelling = Literal["exact", "loose"]
Combining = Literal["any", "mean", "majority"]
NumberTask = Literal["grades", "regression"]
TaskName = Literal["segmentation", "classification", "semantic-segmentation", NumberTask]
Crop = Literal["none", "head"]


def names_of(literal: Any) -> tuple[str, ...]:
    """Return the names of a Literal of this module, in order.

    >>> names_of(ViewMerge)
    ('mean', 'geometric', 'logit')
    """
    return get_args(literal)


def score_name(metric: str) -> str:
    """Return what a score of a metric is called, where higher is better: an error's has a minus.

    >>> score_name("mae"), score_name("dice")
    ('minus mae', 'dice')
    """
    return f"minus {metric}" if metric in names_of(NumberMetric) else metric
