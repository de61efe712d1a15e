"""Scores of classes: hand-computed, and as scikit-learn has them, with and without weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from goldfold.competitions.class_metric import (
    accuracy,
    confusion_counts,
    decide,
    f1,
    log_loss,
)
from goldfold.competitions.class_metric_score import class_metric_score
from goldfold.competitions.ranked import auroc, average_precision


def make(seed, exclusive, classes=3, count=60):
    rng = np.random.default_rng(seed)
    probability = rng.random((count, classes)).round(2)
    if exclusive:
        probability = probability + 0.01
        probability /= probability.sum(axis=1, keepdims=True)
        targets = np.eye(classes, dtype=np.uint8)[rng.integers(0, classes, count)]
    else:
        targets = (rng.random((count, classes)) < 0.4).astype(np.uint8)
    targets[0], targets[1] = np.eye(classes, dtype=np.uint8)[0], np.eye(classes, dtype=np.uint8)[1]
    return targets, probability, rng.integers(0, 4, count).astype(float) + 0.5


@given(st.integers(0, 10_000), st.booleans())
def test_as_scikit_learn_has_them(seed, weighted):
    targets, probability, weights = make(seed, exclusive=False)
    weight = weights if weighted else None
    truth = targets > 0
    for c in range(3):
        if 0 < truth[:, c].sum() < len(truth):
            ours = auroc(truth[:, c], probability[:, c], weight)
            theirs = metrics.roc_auc_score(truth[:, c], probability[:, c], sample_weight=weight)
            assert ours == pytest.approx(theirs)
            ours = average_precision(truth[:, c], probability[:, c], weight)
            theirs = metrics.average_precision_score(
                truth[:, c], probability[:, c], sample_weight=weight
            )
            assert ours == pytest.approx(theirs)
    predicted = decide(probability, exclusive=False)
    theirs = metrics.f1_score(
        targets, predicted, average="macro", sample_weight=weight, zero_division=0
    )
    assert f1(targets, predicted, False, weight) == pytest.approx(theirs)
    binary = [
        metrics.log_loss(targets[:, c], np.clip(probability[:, c], 1e-6, 1 - 1e-6),
                         sample_weight=weight, labels=[0, 1])
        for c in range(3)
    ]  # fmt: skip
    assert log_loss(targets, probability, False, None, weight) == pytest.approx(np.mean(binary))
    doubled = (binary[0] + binary[1] + 2 * binary[2]) / 4
    assert log_loss(targets, probability, False, [1, 1, 2], weight) == pytest.approx(doubled)


@given(st.integers(0, 10_000), st.booleans())
def test_exclusive_classes_as_scikit_learn_has_them(seed, weighted):
    targets, probability, weights = make(seed, exclusive=True)
    weight = weights if weighted else None
    truth, predicted = targets.argmax(axis=1), decide(probability, exclusive=True)
    assert (predicted.sum(axis=1) == 1).all()
    ours = accuracy(targets, predicted, True, weight)
    theirs = metrics.accuracy_score(truth, predicted.argmax(axis=1), sample_weight=weight)
    assert ours == pytest.approx(theirs)
    ours = log_loss(targets, probability, True, None, weight)
    theirs = metrics.log_loss(
        truth, np.clip(probability, 1e-6, 1), sample_weight=weight, labels=[0, 1, 2]
    )
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_two_exclusive_classes_have_one_positive_one():
    targets = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.uint8)
    probability = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.8, 0.2]])
    how = {"exclusive": True}
    assert class_metric_score("accuracy", targets, probability, **how) == 0.5
    assert class_metric_score("f1", targets, probability, **how) == 0.5
    assert class_metric_score("auroc", targets, probability, **how) == 0.75
    expected = np.log([0.9, 0.4, 0.7, 0.2]).mean()
    assert class_metric_score("neg-log-loss", targets, probability, **how) == pytest.approx(
        expected
    )
    lower = class_metric_score("accuracy", targets, probability, thresholds=[0.5, 0.15], **how)
    assert lower == 0.75


def test_without_meaning():
    ones = np.ones(3, bool)
    assert np.isnan(auroc(ones, np.array([0.1, 0.2, 0.3])))
    assert np.isnan(average_precision(~ones, np.array([0.1, 0.2, 0.3])))
    nothing = np.zeros((2, 1), np.uint8)
    assert f1(nothing, nothing > 0, False) == 0
    assert confusion_counts(nothing > 0, nothing > 0).tolist() == [[0, 0, 0, 2]]
