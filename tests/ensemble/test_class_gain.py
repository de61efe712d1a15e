"""Gains between ways to predict classes: the difference itself, and an interval over groups."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

from goldfold.competitions.class_metric import decide
from goldfold.ensemble.class_blend import (
    ClassBlend,
    JudgedClasses,
    cross_fit_probabilities,
    honest_score,
)
from goldfold.ensemble.class_gain import class_gains
from goldfold.ensemble.class_truth import Truth
from goldfold.errors import LeakError

IMAGES, GROUPS = 60, 20


def made(metric: str, seed: int = 0) -> tuple[Truth, list[JudgedClasses], np.ndarray]:
    rng = np.random.default_rng(seed)
    ill = rng.random(IMAGES) < 0.4
    truth = Truth(
        np.column_stack([~ill, ill]).astype(np.uint8), ("well", "ill"), True, metric, (1.0, 1.0)
    )
    judged = []
    for noise in (1.5, 0.7):
        second = 1 / (1 + np.exp(-(2.0 * ill - 1 + rng.normal(0, noise, IMAGES))))
        probability = np.column_stack([1 - second, second])
        predicted = decide(probability, True)
        honest = honest_score(truth, probability, predicted)
        judged.append(JudgedClasses(probability, predicted, honest, {}))
    return truth, judged, rng.integers(0, GROUPS, IMAGES)


def scored(metric: str, truth: np.ndarray, one: JudgedClasses, times: np.ndarray) -> float:
    """Return scikit-learn's score of images that are repeated so many times."""
    rows = np.repeat(np.arange(IMAGES), times)
    ill, second = truth[rows, 1], one.probability[rows, 1]
    match metric:
        case "auroc":
            return roc_auc_score(ill, second)
        case "f1":
            return f1_score(ill, one.predicted[rows, 1])
        case "accuracy":
            return accuracy_score(ill, one.predicted[rows, 1])
        case _:
            return -log_loss(ill, second)


@pytest.mark.parametrize("metric", ["auroc", "f1", "accuracy", "neg-log-loss"])
def test_the_interval_is_that_of_scores_computed_anew(metric: str) -> None:
    truth, (first, second), groups = made(metric)
    (none, gain) = class_gains(truth, first, [first, second], groups, samples=400, seed=3)
    assert (none.mean, none.low, none.high) == (0, 0, 0)
    once = np.ones(IMAGES, int)
    whole = [scored(metric, truth.targets, one, once) for one in (first, second)]
    assert gain.mean == pytest.approx(whole[1] - whole[0])
    rng, count = np.random.default_rng(3), int(groups.max()) + 1
    gaps = []
    for _ in range(400):
        times = np.bincount(rng.integers(0, count, count), minlength=count)[groups]
        drawn = [scored(metric, truth.targets, one, times) for one in (first, second)]
        gaps.append(drawn[1] - drawn[0])
    low, high = np.quantile(gaps, [0.025, 0.975])
    # Means over images are drawn in another order, hence other drawings of the same kind.
    room = 1e-9 if metric in ("auroc", "f1") else 0.2 * (high - low)
    assert gain.low == pytest.approx(low, abs=room)
    assert gain.high == pytest.approx(high, abs=room)


def test_thresholds_come_from_the_other_parts() -> None:
    """The second part's probabilities are shifted: its own threshold would be another."""
    ill = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    second = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    truth = Truth(
        np.column_stack([1 - ill, ill]).astype(np.uint8), ("well", "ill"), True, "f1", (1.0, 1.0)
    )
    parts = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    probability = np.column_stack([1 - second, second])
    found = cross_fit_probabilities(truth, parts, lambda _: ClassBlend(probability))
    assert found.predicted[:, 1].tolist() == [False] * 4 + [True] * 4
    assert found.honest == pytest.approx(f1_score(ill, found.predicted[:, 1]))
    assert found.folds[0] == (4, 0.0)
    with pytest.raises(LeakError, match=r"part 1: blend weights .* 1 image on which .*: 7"):
        cross_fit_probabilities(truth, parts, lambda _: ClassBlend(probability, chosen_on=["7"]))
