"""Resampled measures of classes: those of scikit-learn, drawing by drawing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from goldfold.competitions.class_metric import decide
from goldfold.ensemble.class_blend import honest_score, resampled_scorer
from goldfold.ensemble.class_intervals import (
    RATIOS,
    ResampledRatios,
    bootstrap_classes,
    measures_of_classes,
)
from goldfold.ensemble.class_truth import Truth


def make(seed, metric="f1", count=30, classes=2, exclusive=False):
    rng = np.random.default_rng(seed)
    probability = rng.random((count, classes)).round(1)
    if exclusive:
        probability = (probability + 0.01) / (probability + 0.01).sum(axis=1, keepdims=True)
        targets = np.eye(classes, dtype=np.uint8)[rng.integers(0, classes, count)]
    else:
        targets = (rng.random((count, classes)) < 0.4).astype(np.uint8)
    truth = Truth(targets, tuple("abc"[:classes]), exclusive, metric, (1.0,) * classes)
    return truth, probability, decide(probability, exclusive)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_a_drawing_has_the_measures_of_scikit_learn(seed):
    truth, probability, predicted = make(seed)
    weights = np.random.default_rng(seed + 1).integers(0, 3, len(probability)).astype(float)
    ratios = ResampledRatios(truth, probability, predicted)(weights)
    assert ratios.shape == (2, len(RATIOS))
    for c in range(2):
        true, said, p = truth.targets[:, c], predicted[:, c], probability[:, c]
        if not 0 < weights @ true < weights.sum():
            continue  # the next test knows what has no meaning
        how = {"sample_weight": weights}
        expected = [
            metrics.accuracy_score(true, said, **how),
            metrics.precision_score(true, said, zero_division=np.nan, **how),
            metrics.recall_score(true, said, zero_division=np.nan, **how),
            metrics.f1_score(true, said, zero_division=np.nan, **how),
            metrics.roc_auc_score(true, p, **how),
            metrics.average_precision_score(true, p, **how),
        ]
        assert ratios[c] == pytest.approx(expected, rel=1e-12, nan_ok=True)


@settings(max_examples=30)
@given(
    st.integers(0, 10_000),
    st.sampled_from(["accuracy", "f1", "auroc", "neg-log-loss"]),
    st.sampled_from([(1, False), (2, True), (3, True), (3, False)]),
)
def test_weights_are_copies_of_images(seed, metric, kind):
    classes, exclusive = kind
    truth, probability, predicted = make(seed, metric, 20, classes, exclusive)
    drawn = np.random.default_rng(seed + 1).integers(0, 20, 20)
    weights = np.bincount(drawn, minlength=20).astype(float)
    copies = Truth(truth.targets[drawn], truth.classes, exclusive, metric, truth.class_weights)
    many = measures_of_classes(copies, probability[drawn], predicted[drawn])
    expected = [[row[name] for name in RATIOS] for row in many]
    ratios = ResampledRatios(truth, probability, predicted)(weights)
    assert ratios == pytest.approx(np.array(expected), rel=1e-12, nan_ok=True)
    whole = honest_score(copies, probability[drawn], predicted[drawn])
    score = resampled_scorer(truth, probability, predicted)(weights)
    assert score == pytest.approx(whole, rel=1e-12, nan_ok=True)


def test_bounds_are_quantiles_of_what_scikit_learn_makes_of_each_drawing():
    truth, probability, predicted = make(7, "auroc", 24)
    groups = np.arange(24) // 3
    bounds = bootstrap_classes(truth, probability, predicted, groups, samples=40, seed=5)
    rng, scores, recalls = np.random.default_rng(5), [], []
    for _ in range(40):
        times = np.bincount(rng.integers(0, 8, 8), minlength=8)
        copies = np.repeat(np.arange(24), times[groups])
        part = truth.targets[copies]
        scores.append(
            np.mean([metrics.roc_auc_score(part[:, c], probability[copies, c]) for c in (0, 1)])
        )
        recalls.append(metrics.recall_score(part[:, 1], predicted[copies, 1]))
    assert bounds.score == pytest.approx(tuple(np.quantile(scores, [0.025, 0.975])))
    expected = tuple(np.quantile(recalls, [0.025, 0.975]))
    assert bounds.measures["b"]["recall"] == pytest.approx(expected)
