"""Metrics of the user's own, of masks, labels and grades: searched for, and named in errors."""

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from goldfold.competitions.class_metric import decide
from goldfold.competitions.class_metric_score import best_class_score, class_metric_score
from goldfold.competitions.histogram import level_histograms
from goldfold.competitions.level_truth import level_truth
from goldfold.competitions.metric import scored_by_level, set_scores
from goldfold.competitions.number_metric import best_constant, number_score, reported_number_score
from goldfold.competitions.rle import get_dialect
from goldfold.ensemble.class_blend import assess_class_probabilities
from goldfold.ensemble.class_truth import Truth
from goldfold.ensemble.cut_points import best_cuts, to_grades
from goldfold.ensemble.number_scale import NumberScale
from goldfold.ensemble.numbers import NumberTruth, assess_numbers, resampled_scores
from goldfold.ensemble.probability_scale import make_scale
from goldfold.ensemble.threshold import search_rule
from goldfold.ensemble.weights import Objective, pack
from goldfold.errors import InputError
from goldfold.own_code import bind

CODE = """
import numpy as np

def counts(intersection, predicted, true):
    return np.where(true == 0, predicted == 0, intersection / np.maximum(true, 1))

def corner(true, predicted):
    return float(true[0, 0] == predicted[0, 0])

def too_large(true, predicted):
    return 1.5

def matthews(targets, labels):
    assert labels.dtype == np.uint8
    yes, no = targets.ravel() > 0, labels.ravel() > 0
    a, b, c, d = (yes & no).sum(), (yes & ~no).sum(), (~yes & no).sum(), (~yes & ~no).sum()
    below = np.sqrt(float((a + b) * (a + c) * (b + d) * (c + d)))
    return float(a * d - b * c) / below if below else 0.0

def within_one(truth, predicted):
    return float((abs(truth - predicted) <= 0).mean()) - 0.001 * float((predicted == 4).sum())

def fails(truth, predicted):
    return 1 / 0

def words(truth, predicted):
    return "good"

def alone(truth):
    return 1.0
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    return lambda name: bind(f"mine:{name}", tmp_path)


def test_masks_are_judged_by_counts_or_whole(own):
    assert not scored_by_level(own("counts"))
    assert scored_by_level(own("corner"))
    mask, levels = np.eye(4, dtype=np.uint8), np.full((4, 4), 40, np.uint8)
    levels[0, 0] = 200
    truth = level_truth(own("corner"), None, mask, (4, 4), get_dialect("kaggle"))
    histograms = level_histograms(levels, mask, truth)[None]
    assert search_rule(histograms, own("corner")).score == 1.0
    empty = level_truth(own("corner"), None, None, (4, 4), get_dialect("kaggle"))
    both = np.stack([histograms[0], level_histograms(levels // 2, None, empty)])
    found = search_rule(both, own("corner"))
    assert found.score == 1.0
    assert 100 <= found.rule.bottom < 200


def test_what_is_wrong_with_a_metric_of_masks_is_named(own):
    mask = np.eye(4, dtype=np.uint8)
    truth = level_truth(own("too_large"), None, mask, (4, 4), get_dialect("kaggle"))
    with pytest.raises(InputError, match=r"mine:too_large \(mine.py\) returned 1.5 for 4 true and"):
        level_histograms(mask, mask, truth)
    with pytest.raises(InputError, match=r"has the arguments \(truth\); expected score\(inter"):
        set_scores(own("alone"), 1, 1, 1)
    pixels = pack(lambda _: [mask * 200], lambda _: mask, 1)
    with pytest.raises(InputError, match="weights are searched on some pixels"):
        Objective(pixels, [make_scale("mean")], own("corner"))


def test_thresholds_are_searched_for_labels(own):
    rng = np.random.default_rng(0)
    targets = (rng.random((90, 2)) < 0.2).astype(np.uint8)
    probability = 0.2 * targets + 0.2 * rng.random((90, 2))  # nowhere above one half
    metric = own("matthews")
    truth = Truth(targets, ("a", "b"), False, metric, (1.0, 1.0))
    limits = truth.thresholds(probability)
    said = decide(probability, False, limits)
    expected = matthews_corrcoef(targets.ravel(), said.ravel())
    assert expected > 0.9
    found = class_metric_score(metric, targets, probability, exclusive=False, thresholds=limits)
    assert found == pytest.approx(expected)
    assert best_class_score(metric, targets, probability, exclusive=False) == found
    assessed = assess_class_probabilities(
        [probability, probability**2], truth, np.arange(90) % 3, merge="mean", weights="hill-climb"
    )
    assert assessed.optimistic >= assessed.honest > 0.7


def test_cut_points_are_searched_for_grades(own):
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 5, 120).astype(float)
    place = np.clip((truth + 0.5) / 5 + rng.normal(0, 0.08, 120), 0, 1)
    metric = own("within_one")
    cuts = best_cuts(truth.astype(np.int64), place, metric, 5)
    found = number_score(metric, truth, to_grades(place, cuts))
    for name in ("accuracy", "quadratic-weighted-kappa"):
        other = to_grades(place, best_cuts(truth.astype(np.int64), place, name, 5))
        assert found >= number_score(metric, truth, other)
    known = NumberTruth(truth, NumberScale(0, 4, tuple("01234")), metric)
    assessed = assess_numbers(
        [place[:, None]], known, np.arange(120) % 3, merge="mean", weights=[1]
    )
    assert assessed.optimistic == found
    drawn = resampled_scores(known, [assessed.judged.predicted], np.arange(120), samples=5, seed=0)
    assert np.isfinite(drawn).all()
    assert best_constant(metric, truth, 5) in range(5)
    assert known.constant() == max(number_score(metric, truth, np.full(120, g)) for g in range(5))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fails", "mine:fails raised ZeroDivisionError in .*mine.py, line 24"),
        ("words", r"mine:words \(mine.py\) returned 'good'; expected score\(truth, predicted\)"),
        ("alone", r"mine:alone \(mine.py\) has the arguments \(truth\)"),
    ],
)
def test_what_is_wrong_with_a_metric_of_numbers_is_named(own, name, words):
    with pytest.raises(InputError, match=words):
        reported_number_score(own(name), np.zeros(3), np.ones(3))
