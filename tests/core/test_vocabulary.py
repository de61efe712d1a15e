"""Each list of names stands once: settings accept exactly what the implementations know."""

import ast
import inspect
from pathlib import Path
from typing import Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from goldfold import vocabulary
from goldfold.augmentation_levels import RECIPES
from goldfold.competitions import class_metric_score, metric
from goldfold.competitions.rle import DIALECTS
from goldfold.ensemble import class_merge, probability_scale
from goldfold.ensemble.calibration import fit_curve
from goldfold.ensemble.mask_choice import MaskDecision
from goldfold.ensemble.weights import choose_weights
from goldfold.errors import InputError
from goldfold.inference import engine, merge
from goldfold.inference.views import NAMED_VIEWS
from goldfold.pipeline.model_file import Inference
from goldfold.settings import (
    CompetitionSettings,
    EnsembleSettings,
    InferenceSettings,
    LabelTable,
    Loss,
    RateSchedule,
    Sampling,
    StageSettings,
    TrainingSettings,
)
from goldfold.settings_augmentation import Augmentation
from goldfold.training.device import _asked
from goldfold.training.losses import WeightedLoss
from goldfold.training.optimizer import build_optimizer
from goldfold.training.sampler import fraction_at
from goldfold.training.schedule import rate_at
from goldfold.vocabulary import names_of

ROOT = Path(__file__).parents[2]


def accepted(model, field):
    """Return the names that a field takes, those of the Literals in its type."""
    found = []

    def walk(kind):
        for part in get_args(kind):
            if isinstance(part, str):
                found.append(part)
            else:
                walk(part)

    walk(model.model_fields[field].annotation)
    return set(found)


@pytest.mark.parametrize(
    ("model", "field", "literal", "extra"),
    [
        (CompetitionSettings, "metric", vocabulary.Metric, ()),
        (CompetitionSettings, "task", vocabulary.TaskName, ()),
        (LabelTable, "kind", vocabulary.LabelKind, ()),
        (LabelTable, "dialect", vocabulary.DialectName, ()),
        (Sampling, "schedule", vocabulary.SamplingSchedule, ()),
        (RateSchedule, "name", vocabulary.RateScheduleName, ()),
        (StageSettings, "optimizer", vocabulary.OptimizerName, ()),
        (StageSettings, "start", vocabulary.StartWeights, ()),
        (StageSettings, "frozen", vocabulary.FrozenPart, ()),
        (StageSettings, "augmentation", vocabulary.AugmentationLevel, ()),
        (Augmentation, "base", vocabulary.AugmentationLevel, ()),
        (Augmentation, "distortions", vocabulary.Distortion, ()),
        (Loss, "dice_over", vocabulary.DiceOver, ()),
        (TrainingSettings, "precision", vocabulary.Precision, ("auto",)),
        (InferenceSettings, "merge", vocabulary.ViewMerge, ()),
        (InferenceSettings, "engine", vocabulary.Engine, ("auto",)),
        (InferenceSettings, "average", vocabulary.WeightAverage, ("off", "best", "auto")),
        (EnsembleSettings, "merge", vocabulary.MemberMerge, ()),
        (EnsembleSettings, "weights", vocabulary.WeightChoice, ()),
        (EnsembleSettings, "calibration", vocabulary.Calibration, ()),
        (EnsembleSettings, "rule", vocabulary.RuleChoice, ()),
        (Inference, "merge", vocabulary.ViewMerge, ()),
        (MaskDecision, "merge", vocabulary.MemberMerge, ()),
    ],
)
def test_settings_take_the_names_of_the_vocabulary(model, field, literal, extra):
    assert accepted(model, field) == {*names_of(literal), *extra}


def test_named_tables_have_every_name():
    assert tuple(metric.METRICS) == names_of(vocabulary.PixelMetric)
    assert tuple(RECIPES) == names_of(vocabulary.AugmentationLevel)
    assert tuple(DIALECTS) == names_of(vocabulary.DialectName)
    assert tuple(merge.MERGES) == names_of(vocabulary.ViewMerge)
    assert tuple(NAMED_VIEWS) == names_of(vocabulary.ViewSet)
    assert names_of(vocabulary.Engine) == engine.ENGINES
    assert probability_scale.MERGES == class_merge.MERGES == names_of(vocabulary.MemberMerge)


EXCUSED = {
    "vocabulary.py",
    "recognise_tables.py",  # dialects in the order in which they are tried
    "progress_lines.py",  # columns of a line, in order
}


def test_the_glossary_names_every_level_and_dialect():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    for literal in (vocabulary.AugmentationLevel, vocabulary.DialectName):
        assert [name for name in names_of(literal) if f"`{name}`" not in text] == []


COUNTS = np.ones(256, np.int64)
TARGETS, PROBABILITY = np.array([[1], [0]], np.uint8), np.array([[0.9], [0.2]])


class Three:
    """A score of three members for the search of weights."""

    members = 3

    def __call__(self, weights):
        return float(weights[0])


@pytest.mark.parametrize(
    ("literal", "call"),
    [
        (
            vocabulary.ClassMetric,
            lambda name: class_metric_score.class_metric_score(
                name, TARGETS, PROBABILITY, exclusive=False
            ),
        ),
        (vocabulary.PixelMetric, lambda name: metric.image_scores(name, 1, 1, 1)),
        (
            vocabulary.SamplingSchedule,
            lambda name: fraction_at(name, 0.5, 0.5, 0, 2, natural=0.5, steps=[(1, 0.5)]),
        ),
        (vocabulary.RateScheduleName, lambda name: rate_at(name, 1, total=4)),
        (
            vocabulary.OptimizerName,
            lambda name: build_optimizer(
                nn.Linear(1, 1), name=name, learning_rate=0.1, weight_decay=0.0
            ),
        ),
        (vocabulary.MemberMerge, lambda name: probability_scale.make_scale(name, COUNTS)),
        (
            vocabulary.MemberMerge,
            lambda name: class_merge.merge_probabilities([PROBABILITY], [1], name, exclusive=False),
        ),
        (vocabulary.ViewMerge, merge.Merger),
        (vocabulary.WeightSearch, lambda name: choose_weights(name, Three())),
        (
            vocabulary.CalibrationCurve,
            lambda name: fit_curve(np.array([0.2, 0.9]), np.array([0, 1.0]), np.ones(2), name),
        ),
        (vocabulary.Precision, _asked),
    ],
)
def test_implementations_know_exactly_these_names(literal, call):
    for name in names_of(literal):
        call(name)
    with pytest.raises(InputError) as raised:
        call("nothing")
    assert all(name in str(raised.value) for name in names_of(literal))


def test_losses_over_pixels_are_those_that_the_loss_computes():
    weights = set(inspect.signature(WeightedLoss).parameters)
    assert set(names_of(vocabulary.PixelLoss)) <= weights
    logits = torch.randn(2, 1, 1, 4, generator=torch.Generator().manual_seed(0))
    targets = (torch.arange(8).reshape(2, 1, 1, 4) % 4 == 0).float()
    for name in names_of(vocabulary.PixelLoss):
        assert WeightedLoss(**{name: 1.0})(logits, targets) > 0
        zero = {**dict.fromkeys(names_of(vocabulary.PixelLoss), 0.0), "presence": 0.0}
        assert Loss(**{**zero, name: 1.0})
    with pytest.raises(ValidationError, match="at least one weight"):
        Loss(**zero)


LITERALS = [one for one in vars(vocabulary).values() if get_origin(one) is Literal]


def test_no_second_list_of_these_names():
    """No other source has a Literal, tuple, list or set of names of one vocabulary alone."""
    wrong = []
    for file in sorted(ROOT.glob("[a-z]*/**/*.py")):
        top_folder = file.relative_to(ROOT).parts[0]
        if top_folder in ("tests", "benchmarks", "build") or file.name in EXCUSED:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Tuple | ast.List | ast.Set):
                continue
            names = {e.value for e in node.elts if isinstance(e, ast.Constant)}
            names = {one for one in names if isinstance(one, str)}
            if len(names) >= 3 and any(names <= set(names_of(one)) for one in LITERALS):
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert wrong == []
