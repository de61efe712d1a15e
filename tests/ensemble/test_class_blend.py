"""Blends, thresholds and honest scores of classes: against brute force, and without a leak."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import accuracy_score, f1_score

from goldfold.competitions.class_metric import decide
from goldfold.ensemble.class_blend import assess_class_probabilities, best_thresholds, honest_score
from goldfold.ensemble.class_intervals import bootstrap_classes, measures_of_classes
from goldfold.ensemble.class_merge import MOST_REFERENCES, merge_probabilities, rank_reference
from goldfold.ensemble.class_truth import Truth
from goldfold.errors import InputError


def make_truth(targets, metric="f1", exclusive=False):
    count = targets.shape[1]
    names = tuple("abcdef"[:count])
    return Truth(targets, names, exclusive, metric, (1.0,) * count)


def make(seed, count=40, classes=2, metric="f1", exclusive=False):
    rng = np.random.default_rng(seed)
    if exclusive:
        targets = np.eye(classes, dtype=np.uint8)[rng.integers(0, classes, count)]
    else:
        targets = (rng.random((count, classes)) < 0.4).astype(np.uint8)
    probability = np.clip(0.35 * targets + rng.random((count, classes)) * 0.65, 0, 1).round(2)
    if exclusive:
        probability = (probability + 0.01) / (probability + 0.01).sum(axis=1, keepdims=True)
    return make_truth(targets, metric, exclusive), probability


@settings(max_examples=8)  # each is 800 scores by scikit-learn
@given(st.integers(0, 10_000), st.sampled_from(["f1", "accuracy"]))
def test_thresholds_are_the_best_of_all(seed, metric):
    truth, probability = make(seed, metric=metric)
    score = f1_score if metric == "f1" else accuracy_score
    more = {"zero_division": 0} if metric == "f1" else {}
    for place, limit in enumerate(best_thresholds(truth, probability)):
        tried = [
            score(truth.targets[:, place], probability[:, place] >= one, **more)
            for one in np.linspace(0, 1.01, 203)
        ]
        found = score(truth.targets[:, place], probability[:, place] >= limit, **more)
        assert found == pytest.approx(max(tried))


def test_of_two_exclusive_classes_the_second_has_a_threshold():
    truth, probability = make(3, exclusive=True)
    first, second = best_thresholds(truth, probability)
    assert first == 0.5
    said = decide(probability, True, [first, second])
    assert (said.sum(axis=1) == 1).all()
    assert (said[:, 1] == (probability[:, 1] >= second)).all()
    three, p = make(3, classes=3, exclusive=True)
    assert best_thresholds(three, p) == [0.5] * 3


def test_merges_by_hand():
    one, two = np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]])
    assert merge_probabilities([one, two], [1, 3], "mean", exclusive=False) == pytest.approx(0.5)
    found = merge_probabilities([one, two], [1, 1], "geometric", exclusive=False)
    assert found[0] == pytest.approx(np.sqrt([0.12, 0.32]))
    found = merge_probabilities([one, two], [1, 1], "logit", exclusive=False)
    odds = np.sqrt(np.array([0.25 * 1.5, 4 * 2 / 3]))
    assert found[0] == pytest.approx(odds / (1 + odds))
    for merge in ("mean", "geometric", "logit"):
        assert merge_probabilities(
            [one, two], [2, 5], merge, exclusive=True
        ).sum() == pytest.approx(1)
        same = merge_probabilities([one, one], [1, 4], merge, exclusive=False)
        assert same == pytest.approx(one)
    with pytest.raises(InputError, match="unknown merge"):
        merge_probabilities([one], [1], "median", exclusive=False)


def test_ranks_are_those_of_the_reference():
    rng = np.random.default_rng(0)
    own = rng.random((50, 1)).round(1)
    found = merge_probabilities([own], [1], "rank", exclusive=False)
    assert found[:, 0] == pytest.approx((rankdata(own[:, 0]) - 0.5) / 50)
    other = np.array([[own.min() - 1], [own.max() + 1]])
    found = merge_probabilities([other], [1], "rank", exclusive=False, references=[own])
    assert found[:, 0].tolist() == [0, 1]


@given(st.integers(0, 10_000), st.lists(st.integers(1, 7), min_size=2, max_size=4))
def test_equal_mean_ranks_are_equal_numbers(seed, weights):
    rng = np.random.default_rng(seed)
    members = [rng.permutation(30)[:, None] / 30 for _ in weights]
    found = merge_probabilities(members, weights, "rank", exclusive=False)
    sums = sum(w * rankdata(one) for w, one in zip(weights, members, strict=True))
    assert len(np.unique(found)) == len(np.unique(sums))
    assert (np.argsort(found[:, 0], kind="stable") == np.argsort(sums, kind="stable")).all()


def test_a_blend_of_equal_members_is_that_member():
    table = np.array([[0.52120829, 0.47879168], [0.9, 0.1], [0.25, 0.75]], np.float32)
    assert table[0].astype(float).sum() != 1  # softmax in float32
    for weights in ([3], [1, 1, 1], [2, 5], [0, 4]):
        blend = merge_probabilities([table] * len(weights), weights, "mean", exclusive=True)
        assert (blend == table.astype(float)).all()


def test_a_fold_has_no_say_in_its_own_judgement():
    truth, one = make(1, count=60)
    _, two = make(2, count=60)
    parts = np.arange(60) % 3
    how = {"merge": "mean", "weights": "hill-climb"}
    before = assess_class_probabilities([one, two], truth, parts, **how)
    changed = truth.targets.copy()
    changed[parts == 1] = 1 - changed[parts == 1]
    after = assess_class_probabilities([one, two], make_truth(changed), parts, **how)
    here = parts == 1
    assert np.array_equal(before.probability[here], after.probability[here])
    assert np.array_equal(before.predicted[here], after.predicted[here])
    assert not np.array_equal(before.probability[~here], after.probability[~here]) or (
        before.thresholds != after.thresholds
    )


def test_hill_climbing_finds_the_member_that_knows():
    truth, knows = make(5, count=200, metric="auroc")
    guess = np.random.default_rng(9).random(knows.shape)
    found = assess_class_probabilities(
        [guess, knows], truth, np.arange(200) % 4, merge="mean", weights="hill-climb"
    )
    assert found.weights[1] > found.weights[0]
    loss = Truth(truth.targets, truth.classes, False, "neg-log-loss", (1.0, 1.0))
    found = assess_class_probabilities(
        [guess, knows], loss, np.arange(200) % 4, merge="mean", weights="simplex"
    )
    assert found.weights[1] > found.weights[0]
    assert found.honest < 0
    equal = assess_class_probabilities(
        [guess, knows], loss, np.arange(200) % 4, merge="mean", weights=[1, 1]
    )
    assert found.honest > equal.honest


def test_the_interval_draws_whole_groups():
    truth, probability = make(4, count=80, metric="accuracy")
    predicted = decide(probability, False)
    single, pairs = (
        bootstrap_classes(truth, probability, predicted, groups, samples=400, seed=0)
        for groups in (np.arange(80), np.arange(80) // 8)
    )
    score = honest_score(truth, probability, predicted)
    assert single.score[0] < score < single.score[1]
    assert pairs.score[0] < score < pairs.score[1]
    twice = Truth(np.repeat(truth.targets, 2, axis=0), truth.classes, False, "accuracy", (1.0, 1.0))
    doubled = bootstrap_classes(
        twice,
        np.repeat(probability, 2, axis=0),
        np.repeat(predicted, 2, axis=0),
        np.repeat(np.arange(80), 2),
        samples=400,
        seed=0,
    )
    assert doubled.score == pytest.approx(single.score)
    for one in measures_of_classes(truth, probability, predicted):
        for name in ("accuracy", "precision", "recall", "f1", "auroc", "average_precision"):
            low, high = single.measures[one["class"]][name]
            assert low <= one[name] <= high
            assert doubled.measures[one["class"]][name] == pytest.approx((low, high))


def test_measures_without_meaning_are_nan():
    truth = make_truth(np.array([[0], [0]], np.uint8))
    (found,) = measures_of_classes(truth, np.array([[0.2], [0.4]]), np.zeros((2, 1), bool))
    assert found["accuracy"] == 1
    for name in ("precision", "recall", "f1", "auroc", "average_precision"):
        assert np.isnan(found[name])


@pytest.mark.parametrize("count", [2, 16, MOST_REFERENCES, 3 * MOST_REFERENCES])
def test_an_exported_model_counts_ranks_as_the_run_does(count):
    rng = np.random.default_rng(count)
    known, seen = rng.random((count, 2)).round(2), [rng.random((50, 2)).round(2)]
    kept = rank_reference(known)
    assert len(kept) <= MOST_REFERENCES
    assert (np.diff(kept, axis=0) >= 0).all()
    ranks = [
        merge_probabilities(seen, [1], "rank", exclusive=False, references=[reference])
        for reference in (known, kept)
    ]
    tolerance = 0 if count <= MOST_REFERENCES else 1 / MOST_REFERENCES
    np.testing.assert_allclose(*ranks, rtol=0, atol=tolerance)
