"""Reported scores of classes: equal to those of the searches, and without warnings."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.competitions.class_measures import class_measures, reported_score
from goldfold.competitions.class_metric_score import class_metric_score
from goldfold.vocabulary import ClassMetric, names_of

METRICS = [*names_of(ClassMetric), "pf-beta(beta=2)"]


def make(seed, classes, exclusive):
    """Return targets and probabilities with ties; some classes may have no image, or only some."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 30))
    probability = rng.random((count, classes)).round(int(rng.integers(0, 4)))
    if exclusive:
        probability = (probability + 0.01) / (probability + 0.01).sum(axis=1, keepdims=True)
        targets = np.eye(classes, dtype=np.uint8)[rng.integers(0, classes, count)]
    else:
        targets = (rng.random((count, classes)) < 0.4).astype(np.uint8)
    return targets, probability, rng.uniform(0.2, 0.8, classes)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=25)
@given(st.integers(0, 100_000), st.integers(1, 4), st.booleans(), st.booleans())
def test_the_score_is_that_of_the_searches(metric, seed, classes, exclusive, thresholds):
    exclusive = exclusive and classes > 1
    targets, probability, limits = make(seed, classes, exclusive)
    how = {
        "exclusive": exclusive,
        "class_weights": None if exclusive else [1.0, 2.0, 1.0, 0.5][:classes],
        "thresholds": limits if thresholds else None,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reported = reported_score(metric, targets, probability, **how)
    searched = class_metric_score(metric, targets, probability, **how)
    assert reported == pytest.approx(searched, rel=1e-12, abs=1e-12, nan_ok=True)


def test_measures_by_hand():
    truth = np.array([True, True, True, False, False, False, False, False])
    predicted = np.array([True, True, False, True, False, False, False, False])
    probability = np.array([0.9, 0.8, 0.3, 0.7, 0.3, 0.2, 0.1, 0.0])
    found = class_measures(truth, probability, predicted)
    assert found == pytest.approx(
        {
            "images": 3,
            "true_positive": 2,
            "false_positive": 1,
            "false_negative": 1,
            "true_negative": 4,
            "accuracy": 6 / 8,
            "precision": 2 / 3,
            "recall": 2 / 3,
            "f1": 2 / 3,
            "auroc": 13.5 / 15,
            "average_precision": (1 + 1 + 3 / 5) / 3,
        }
    )


@pytest.mark.parametrize(
    ("truth", "predicted", "without"),
    [
        ([0, 0], [0, 0], {"precision", "recall", "f1", "auroc", "average_precision"}),
        ([0, 0], [1, 0], {"recall", "auroc", "average_precision"}),
        ([1, 1], [0, 0], {"precision", "auroc"}),
        ([1, 0], [0, 0], {"precision"}),
        ([1, 0], [1, 1], set()),
    ],
)
def test_measures_without_meaning_are_nan(truth, predicted, without):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = class_measures(
            np.array(truth, bool), np.array([0.2, 0.4]), np.array(predicted, bool)
        )
    assert {name for name, value in found.items() if np.isnan(value)} == without
    assert all(type(value) is float for value in found.values())
