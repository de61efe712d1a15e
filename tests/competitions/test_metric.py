import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score

from goldfold.competitions.metric import METRICS, image_scores
from goldfold.errors import InputError

PAIRS = st.tuples(*[hnp.arrays(bool, (4, 5))] * 2)
METRIC = st.sampled_from(list(METRICS))


def score(metric, predicted, true):
    return float(image_scores(metric, (predicted & true).sum(), predicted.sum(), true.sum()))


@pytest.mark.parametrize(
    ("intersection", "predicted", "true", "dice", "iou"),
    [
        (0, 0, 0, 1.0, 1.0),  # both empty
        (0, 5, 0, 0.0, 0.0),  # one empty
        (0, 0, 5, 0.0, 0.0),
        (0, 5, 5, 0.0, 0.0),  # disjoint
        (5, 5, 5, 1.0, 1.0),  # equal
        (30, 40, 80, 0.5, 0.0),  # IoU 1/3
        (50, 50, 100, 2 / 3, 0.0),  # IoU 0.50 exactly: not above 0.50
        (51, 51, 100, 102 / 151, 0.1),  # IoU 0.51
        (55, 55, 100, 110 / 155, 0.1),  # IoU 0.55 exactly
        (56, 56, 100, 112 / 156, 0.2),
        (60, 60, 100, 120 / 160, 0.2),  # 0.6 is not exact in binary
        (70, 70, 100, 140 / 170, 0.4),
        (95, 95, 100, 190 / 195, 0.9),
        (96, 96, 100, 192 / 196, 1.0),
    ],
)
def test_by_hand(intersection, predicted, true, dice, iou):
    assert image_scores("dice", intersection, predicted, true) == pytest.approx(dice, abs=1e-15)
    assert image_scores("mean-iou-thresholds", intersection, predicted, true) == iou


@given(PAIRS)
def test_dice_agrees_with_scikit_learn(masks):
    predicted, true = masks
    expected = f1_score(true.ravel(), predicted.ravel(), zero_division=1.0)
    assert score("dice", predicted, true) == pytest.approx(expected)


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 3000))
def test_mean_iou_agrees_with_exact_fractions(intersection, more_predicted, more_true):
    predicted, true = intersection + more_predicted, intersection + more_true
    union = predicted + true - intersection
    hits = [union == 0 or 100 * intersection > t * union for t in range(50, 100, 5)]
    score = image_scores("mean-iou-thresholds", intersection, predicted, true)
    assert float(score) == sum(hits) / 10


@given(PAIRS, METRIC)
def test_symmetric_and_between_0_and_1(masks, metric):
    predicted, true = masks
    assert score(metric, predicted, true) == score(metric, true, predicted)
    assert 0 <= score(metric, predicted, true) <= 1
    assert score(metric, true, true) == 1


@pytest.mark.parametrize("metric", METRICS)
def test_counts_broadcast(metric):
    true = np.array([0, 4, 9])[:, None]  # three images
    predicted = np.array([0, 2])  # by two thresholds
    scores = image_scores(metric, np.minimum(true, predicted), predicted, true)
    assert scores.shape == (3, 2)
    assert scores.dtype == np.float64
    assert scores[0].tolist() == [1, 0]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int32, np.int64])
def test_small_integers_do_not_overflow(metric, dtype):
    count = np.array([60_000], dtype)
    assert image_scores(metric, count, count, count).tolist() == [1.0]


def test_unknown_metric():
    with pytest.raises(InputError, match=r"unknown metric 'dise'; .*Did you mean 'dice'\?"):
        image_scores("dise", 0, 0, 0)
