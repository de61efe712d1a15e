"""Honest scores of people's own class probabilities, against scikit-learn and brute force."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    f1_score,
    fbeta_score,
    log_loss,
    roc_auc_score,
)

from goldfold.ensemble import choose_rule, honest_score
from goldfold.errors import InputError

RANDOM = np.random.default_rng(4)
N = 60
LABEL = RANDOM.integers(0, 2, N)
P = np.clip(0.3 * LABEL + 0.7 * RANDOM.random(N), 0, 1)
FOLDS = np.arange(N) % 4
CLASS = RANDOM.integers(0, 3, N)
P3 = RANDOM.dirichlet([1, 1, 1], N) * 0.7 + 0.3 * np.eye(3)[CLASS]
MANY = RANDOM.integers(0, 2, (N, 2))
PM = np.clip(0.3 * MANY + 0.7 * RANDOM.random((N, 2)), 0, 1)


def f2(true, predicted):
    return fbeta_score(true, predicted, beta=2)


def best_score(metric, label, probability):
    """Return the best score over all thresholds, found by trying each."""
    limits = [*np.unique(probability), 1.1]
    return max(metric(label, (probability >= limit).astype(int)) for limit in limits)


@pytest.mark.parametrize("metric", [accuracy_score, balanced_accuracy_score, cohen_kappa_score, f2])
def test_thresholds_are_chosen_on_the_other_folds_with_the_metric_itself(metric):
    found = honest_score(P, LABEL, metric, folds=FOLDS, samples=100)
    answers = np.empty(N, int)
    for fold in found.folds:
        here = FOLDS.astype(str) == fold.fold
        (limit,) = fold.thresholds
        chosen = metric(LABEL[~here], (P[~here] >= limit).astype(int))
        assert chosen == pytest.approx(best_score(metric, LABEL[~here], P[~here]))
        answers[here] = P[here] >= limit
        assert fold.score == pytest.approx(metric(LABEL[here], answers[here]))
    assert found.answers.tolist() == answers.tolist()
    assert found.honest == pytest.approx(metric(LABEL, answers))
    assert found.optimistic == pytest.approx(best_score(metric, LABEL, P))
    assert found.honest <= found.optimistic


def test_the_interval_draws_whole_groups():
    groups = np.arange(N) // 8  # of two images a fold: leaky, but then the interval is plain to see
    with pytest.warns(UserWarning, match="8 groups have images in several folds"):
        found = honest_score(P, LABEL, accuracy_score, folds=FOLDS, groups=groups, samples=400)
    random, scores = np.random.default_rng(0), []
    right = found.answers == LABEL
    for _ in range(400):
        drawn = random.integers(0, 8, 8)
        scores.append(np.concatenate([right[groups == group] for group in drawn]).mean())
    low, high = np.quantile(scores, [0.025, 0.975])
    assert (found.interval.low, found.interval.high) == (pytest.approx(low), pytest.approx(high))
    assert found.interval.groups == 8


def test_probabilities_are_judged_as_they_are():
    found = honest_score(P, LABEL, roc_auc_score, takes="probabilities", folds=FOLDS, samples=100)
    assert found.honest == found.optimistic == pytest.approx(roc_auc_score(LABEL, P))
    assert found.thresholds == ()


NAMES = {
    "accuracy": accuracy_score,
    "f1": f1_score,
    "auroc": roc_auc_score,
    "neg-log-loss": lambda true, p: -log_loss(true, np.clip(p, 1e-6, 1 - 1e-6)),
}


@pytest.mark.parametrize("name", NAMES)
def test_our_names_agree_with_scikit_learn(name):
    takes = "labels" if name in ("accuracy", "f1") else "probabilities"
    ours = honest_score(P, LABEL, name, folds=FOLDS, samples=100)
    theirs = honest_score(P, LABEL, NAMES[name], takes=takes, folds=FOLDS, samples=100)
    assert ours.honest == pytest.approx(theirs.honest)
    assert ours.optimistic == pytest.approx(theirs.optimistic)
    assert ours.interval.low == pytest.approx(theirs.interval.low)
    assert ours.thresholds == pytest.approx(theirs.thresholds)


@pytest.mark.parametrize("metric", ["accuracy", accuracy_score])
@pytest.mark.parametrize(
    ("probability", "target", "classes"),
    [
        (P3, CLASS, None),
        (P3, np.array(list("abc"))[CLASS], list("abc")),
        (pd.DataFrame(P3, columns=list("abc")), pd.Series(list("abc"))[CLASS], None),
        (pd.DataFrame(P3, columns=list("abc")), CLASS, None),
    ],
)
def test_the_most_likely_of_three_classes_counts(metric, probability, target, classes):
    found = honest_score(probability, target, metric, folds=FOLDS, classes=classes, samples=100)
    assert found.honest == found.optimistic == np.mean(P3.argmax(axis=1) == CLASS)
    assert found.thresholds == ()


def test_of_two_exclusive_classes_the_second_has_the_threshold():
    two = np.column_stack([1 - P, P])
    found = honest_score(two, LABEL, f1_score, folds=FOLDS, samples=100)
    one = honest_score(P, LABEL, f1_score, folds=FOLDS, samples=100)
    assert found.honest == one.honest
    assert found.thresholds[1] == one.thresholds[0]


def test_several_labels_an_image_get_a_threshold_each():
    def macro(true, predicted):
        return f1_score(true, predicted, average="macro")

    found = honest_score(PM, MANY, macro, folds=FOLDS, samples=100)
    named = honest_score(PM, MANY, "f1", folds=FOLDS, samples=100)
    assert found.optimistic == pytest.approx(named.optimistic)  # macro F1: each class on its own
    assert found.honest == pytest.approx(named.honest)
    alone = [honest_score(PM[:, c], MANY[:, c], "f1", folds=FOLDS, samples=100) for c in (0, 1)]
    assert named.optimistic == pytest.approx(np.mean([one.optimistic for one in alone]))


def test_a_loss_is_chosen_low():
    def errors(true, predicted):
        return float((true != predicted).mean())

    found = honest_score(P, LABEL, errors, folds=FOLDS, greater_is_better=False, samples=100)
    accuracy = honest_score(P, LABEL, accuracy_score, folds=FOLDS, samples=100)
    assert found.honest == pytest.approx(1 - accuracy.honest)
    assert found.thresholds == accuracy.thresholds


def test_resamplings_without_a_score_are_counted():
    label = np.array([1, *[0] * (N - 1)])
    found = honest_score(P, label, "auroc", folds=FOLDS, samples=200)
    assert 40 < found.undefined_samples < 120  # a single positive is missed in 1 / e of them
    assert np.isfinite([found.interval.low, found.interval.high]).all()
    assert [np.isnan(fold.score) for fold in found.folds] == [False, True, True, True]


def test_maps_go_to_choose_rule():
    masks = RANDOM.random((12, 6, 6)) > 0.8
    masks[::3] = False
    maps = np.clip(0.4 * masks + 0.6 * RANDOM.random(masks.shape), 0, 1)
    folds = np.arange(12) % 3
    chosen = choose_rule(maps, masks, "dice", folds=folds, choice="peak", samples=1000)
    for form in (list(maps), iter(maps), lambda place: maps[place]):
        found = honest_score(form, masks, "dice", folds=folds, choice="peak")
        assert (found.honest, found.rule, found.interval) == (
            chosen.honest,
            chosen.rule,
            chosen.interval,
        )


ERRORS = {
    "order": (lambda: honest_score(LABEL, P, "f1", folds=FOLDS), "come first, the targets second"),
    "nan": (lambda: honest_score([0.5, np.nan], [0, 1], "f1", folds=[0, 1]), "1 of 2 .* are NaN"),
    "logits": (lambda: honest_score(P * 8 - 3, LABEL, "f1", folds=FOLDS), "look like logits"),
    "grades": (lambda: honest_score(P, CLASS, "f1", folds=FOLDS), "0 and 1, found 2"),
    "names": (
        lambda: honest_score(P, np.array(list("ab"))[LABEL], "f1", folds=FOLDS),
        "for example labels == 'pneumonia'",
    ),
    "unknown class": (
        lambda: honest_score(P3, ["x"] * N, "f1", folds=FOLDS),
        "none of the classes 0, 1, 2: x. Name the columns",
    ),
    "number of classes": (
        lambda: honest_score(P3, CLASS, "f1", folds=FOLDS, classes=["a"]),
        "expected 3 different classes",
    ),
    "shape": (lambda: honest_score(PM, MANY[:, [0, 1, 1]], "f1", folds=FOLDS), "found .60, 3."),
    "length": (lambda: honest_score(P, LABEL[:9], "f1", folds=FOLDS), "found 60 and 9"),
    "metric": (
        lambda: honest_score(P, LABEL, "auc", folds=FOLDS),
        "unknown metric 'auc'",
    ),
    "takes": (lambda: honest_score(P, LABEL, f2, folds=FOLDS, takes="x"), "takes = 'labels' or"),
    "takes of a name": (
        lambda: honest_score(P, LABEL, "auroc", folds=FOLDS, takes="labels"),
        "'auroc' takes probabilities, not labels",
    ),
    "no folds": (lambda: honest_score(P, LABEL, "f1"), "expected folds"),
    "takes of maps": (
        lambda: honest_score(np.zeros((2, 3, 3)), [None] * 2, "dice", folds=[0, 1], takes="labels"),
        "belong to class probabilities",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_to_do(name):
    call, words = ERRORS[name]
    with pytest.raises(InputError, match=words):
        call()
