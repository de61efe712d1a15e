"""Metrics of classes against scikit-learn and published code; thresholds against brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from goldfold.competitions.class_metric import decide
from goldfold.competitions.class_metric_score import (
    best_class_score,
    class_metric_score,
    thresholds_for,
)
from goldfold.competitions.class_metric_table import KINDS
from goldfold.competitions.class_threshold import coordinate_thresholds
from goldfold.ensemble.class_blend import JudgedClasses
from goldfold.ensemble.class_gain import class_gains
from goldfold.ensemble.class_intervals import bootstrap_classes
from goldfold.ensemble.class_truth import Truth
from goldfold.ensemble.own_predictions import honest_score

LABELS = sorted(name for name, kind in KINDS.items() if kind.takes == "labels")


def draw(seed, classes=2, exclusive=False, count=9):
    rng = np.random.default_rng(seed)
    probability = rng.random((count, classes)).round(1)
    if exclusive:
        probability = np.column_stack([1 - probability[:, 1], probability[:, 1]])
        targets = np.eye(classes, dtype=np.uint8)[rng.integers(0, classes, count)]
    else:
        targets = (rng.random((count, classes)) < 0.4).astype(np.uint8)
    return targets, probability


def kaggle_pfbeta(labels, predictions, beta):
    """As the evaluation page of RSNA Breast Cancer Detection has it."""
    true, ctp, cfp = 0, 0.0, 0.0
    for label, prediction in zip(labels, predictions, strict=True):
        if label:
            true, ctp = true + 1, ctp + prediction
        else:
            cfp += prediction
    precision = ctp / (ctp + cfp) if ctp + cfp else 0
    recall = ctp / true if true else 0
    if precision > 0 and recall > 0:
        return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
    return 0


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 1, 2]))
def test_pf_beta_is_that_of_the_competition(seed, beta):
    targets, probability = draw(seed, classes=1)
    score = class_metric_score(f"pf-beta(beta={beta})", targets, probability, exclusive=False)
    expected = kaggle_pfbeta(targets[:, 0], probability[:, 0], beta)
    assert score == pytest.approx(expected)
    said = decide(probability, False)
    certain = class_metric_score(
        f"pf-beta(beta={beta})", targets, probability, exclusive=False, thresholds=[0.5]
    )
    theirs = metrics.fbeta_score(targets[:, 0], said[:, 0], beta=beta, zero_division=0)
    assert certain == pytest.approx(theirs)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_no_graded_answer_in_the_same_order_has_a_higher_pf1(seed):
    targets, probability = draw(seed, classes=1)
    best = best_class_score("pf-beta", targets, probability, exclusive=False)
    rng = np.random.default_rng(seed)
    places = np.unique(probability, return_inverse=True)[1].reshape(probability.shape)
    for _ in range(5):
        other = np.sort(rng.random(places.max() + 1))[places]
        assert class_metric_score("pf-beta", targets, other, exclusive=False) <= best + 1e-12


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_scores_of_several_classes_are_those_of_scikit_learn(seed):
    targets, probability = draw(seed, classes=3, count=12)
    said = decide(probability, False)
    how = {"exclusive": False}
    micro = metrics.f1_score(targets, said, average="micro", zero_division=0)
    assert class_metric_score("micro-f1", targets, probability, **how) == pytest.approx(micro)
    some = [c for c in range(3) if 0 < targets[:, c].sum() < 12]
    if len(some) == 3:
        for name, score, average in (
            ("weighted-auroc", metrics.roc_auc_score, "weighted"),
            ("auroc", metrics.roc_auc_score, "macro"),
            ("mean-average-precision", metrics.average_precision_score, "macro"),
        ):
            expected = score(targets, probability, average=average)
            found = class_metric_score(name, targets, probability, **how)
            assert found == pytest.approx(expected)
        pairs = [metrics.balanced_accuracy_score(targets[:, c], said[:, c]) for c in some]
        found = class_metric_score(
            "balanced-accuracy", targets, probability, class_weights=[1, 2, 3], **how
        )
        assert found == pytest.approx(np.average(pairs, weights=[1, 2, 3]))


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_scores_of_exclusive_classes_are_those_of_scikit_learn(seed, classes):
    rng = np.random.default_rng(seed)
    truth = np.append(np.arange(classes), rng.integers(0, classes, 15))
    probability = rng.dirichlet(np.ones(classes), len(truth))
    targets = np.eye(classes, dtype=np.uint8)[truth]
    said = decide(probability, True).argmax(axis=1)
    for name, expected in {
        "balanced-accuracy": metrics.balanced_accuracy_score(truth, said),
        "macro-f1": metrics.f1_score(truth, said, average="macro", zero_division=0),
        "micro-f1": metrics.accuracy_score(truth, said),
    }.items():
        found = class_metric_score(name, targets, probability, exclusive=True)
        assert found == pytest.approx(expected), name


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("metric", [*LABELS, "pf-beta(beta=2)"])
@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_no_thresholds_are_better(metric, exclusive, seed):
    targets, probability = draw(seed, exclusive=exclusive)
    how = {"exclusive": exclusive}

    def score(limits):
        return class_metric_score(metric, targets, probability, thresholds=limits, **how)

    places = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95, 1.01, 0.0]
    tried = max(score(limits) for limits in itertools.product(places, repeat=2))
    limits = thresholds_for(metric, targets, probability, **how)
    assert score(limits) == pytest.approx(tried, abs=1e-12)
    # The stated search for a metric of one's own comes near it, and never beats it.
    searched = coordinate_thresholds(score, probability, exclusive=exclusive)
    assert score(searched) <= score(limits) + 1e-12


@pytest.mark.parametrize("metric", sorted(KINDS))
def test_intervals_and_gains_of_every_metric(metric):
    targets, probability = draw(0, classes=3, count=60)
    probability = np.clip(0.6 * targets + 0.4 * probability, 0, 1)
    truth = Truth(targets, ("a", "b", "c"), False, metric, (1.0, 2.0, 1.0))
    predicted = decide(probability, False, truth.thresholds(probability))
    groups, half = np.arange(60) // 2, probability / 2 + 0.2
    bounds = bootstrap_classes(truth, probability, predicted, groups, samples=50, seed=0)
    honest = truth.reported_score(predicted.astype(float) if metric in LABELS else probability)
    assert bounds.score[0] <= honest <= bounds.score[1]
    base = JudgedClasses(half, decide(half, False), 0.0, {})
    way = JudgedClasses(probability, predicted, honest, {})
    (same, gain) = class_gains(truth, way, [way, base], groups, samples=50, seed=0)
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    assert gain.low <= gain.high
    given_rows = honest_score(
        probability, targets, metric, folds=groups % 3, groups=groups, samples=20
    )
    assert given_rows.interval.low <= given_rows.honest <= given_rows.interval.high
    assert given_rows.honest <= given_rows.optimistic + 1e-12
