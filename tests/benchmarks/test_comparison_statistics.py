"""Budgets, choices and intervals of benchmarks/comparison.py."""

import numpy as np
import pytest
from scipy import stats


@pytest.fixture(scope="module")
def statistics(benchmark_module):
    return benchmark_module("compared/statistics.py")


@pytest.mark.parametrize(
    ("budget", "an_epoch", "epochs"), [(100, 30, 3), (105, 30, 3), (106, 30, 4), (1, 30, 1)]
)
def test_epochs_come_nearest_to_the_budget(statistics, budget, an_epoch, epochs):
    assert statistics.epochs_within(budget, lambda count: an_epoch * count) == epochs


def test_halves_keep_groups_whole_and_are_nearly_equal(statistics):
    groups = np.array([0, 0, 1, 2, 3, 3, 3, 4])
    first = statistics.halve(groups, seed=1)
    assert all(len(set(first[groups == group])) == 1 for group in range(5))
    assert len(set(groups[first])) == 3
    assert len(set(groups[~first])) == 2


def perfect_on(rows, count=4):
    """Return histograms (count, 2, 256) of maps that are right in `rows`, empty elsewhere."""
    histograms = np.zeros((count, 2, 256), np.int64)
    histograms[:, :, 0] = [90, 10]  # ten true pixels at level 0, never predicted above it
    histograms[:, 0, 0] += 10
    for row in rows:
        histograms[row] = 0
        histograms[row, :, 200] = 10
        histograms[row, 0, 0] = 90
    return histograms


def test_a_half_is_judged_by_what_is_best_on_the_other(statistics):
    first = np.array([True, True, False, False])
    checkpoints = [perfect_on([0, 1]), perfect_on([2, 3]), perfect_on([2])]
    chosen = statistics.best_on_the_other_half(checkpoints, first, 2, "dice")
    # For the first half the best on images 2 and 3, for the second the best on 0 and 1.
    assert chosen == ([1, 2], [0, 1])


def test_t_interval_is_students(statistics):
    values = np.array([0.1, 0.3, 0.2, 0.5])
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert statistics.t_interval(values) == pytest.approx((expected.low, expected.high))
    assert all(np.isnan(statistics.t_interval(values[:1])))


def outcomes(statistics, scores):
    return [
        statistics.Outcome("natural", "last", seed, np.array(one))
        for seed, one in enumerate(scores)
    ]


def test_a_difference_is_paired_by_seed_and_has_both_intervals(statistics):
    images = statistics.Images(np.array([0, 0, 1, 1]), np.arange(4))
    first = outcomes(statistics, [[0.5, 0.7, 0.4, 0.6], [0.9, 0.7, 0.8, 0.4]])
    second = outcomes(statistics, [[0.4, 0.6, 0.2, 0.4], [0.7, 0.5, 0.6, 0.2]])
    found = statistics.difference(first, second[::-1], images)
    pairs = np.array([0.1, 0.2, 0.2, 0.2])  # seed 0: fold 0, fold 1; seed 1: fold 0, fold 1
    expected = stats.ttest_1samp(pairs, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.mean, found.pairs) == (pytest.approx(pairs.mean()), 4)
    assert found.images.low == pytest.approx(0.15, abs=0.011)
    assert found.verdict == "better"
    assert statistics.difference(second, first, images).verdict == "worse"


def test_what_one_of_the_intervals_does_not_tell_apart_is_no_claim(statistics):
    images = statistics.Images(np.array([0, 0, 1, 1]), np.arange(4))
    still = outcomes(statistics, [[0.5] * 4, [0.5] * 4])
    by_chance = outcomes(statistics, [[0.9] * 4, [0.2] * 4])  # the seeds disagree
    assert statistics.difference(by_chance, still, images).verdict == "not told apart"
    on_one_image = outcomes(statistics, [[1.0, 0.5, 0.5, 0.5]] * 2)  # the images disagree
    assert statistics.difference(on_one_image, still, images).verdict == "not told apart"


def test_tables_are_markdown(statistics):
    text = statistics.markdown(["a", "b"], [["x", 1]])
    assert text == "| a | b |\n| --- | ---: |\n| x | 1 |"
