"""The honest score: no rule has seen the images it is judged on; intervals over groups."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from goldfold.competitions.histogram import level_histograms
from goldfold.ensemble.honest import assess, cross_fit
from goldfold.ensemble.intervals import group_interval
from goldfold.ensemble.threshold import ALL_EMPTY, rule_scores, search_rule
from goldfold.ensemble.weights import WeighedBlend
from goldfold.errors import InputError, LeakError
from goldfold.folds.parts import number_groups

COUNT = 40


def make_histograms(seed: int, count: int = COUNT) -> np.ndarray:
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        mask = np.zeros((10, 10), np.uint8)
        if rng.random() < 0.5:
            mask[2 : rng.integers(4, 10), 2 : rng.integers(4, 10)] = 1
        levels = np.clip(mask * rng.normal(100, 50) + rng.normal(60, 40, mask.shape), 0, 255)
        images.append(level_histograms(levels.astype(np.uint8), mask))
    return np.stack(images)


def test_each_fold_is_judged_by_the_rule_of_the_others() -> None:
    histograms, folds = make_histograms(0), np.arange(COUNT) % 4
    scores, fold_scores = cross_fit(histograms, folds, "dice")
    for part in fold_scores:
        here = folds == part.fold
        rule = search_rule(histograms[~here], "dice").rule
        assert part.rule == rule
        assert part.images == 10
        assert np.array_equal(scores[here], rule_scores(histograms[here], rule, "dice"))
        assert part.score == pytest.approx(scores[here].mean())


def test_a_fold_has_no_say_in_its_own_rule() -> None:
    histograms, folds = make_histograms(1), np.arange(COUNT) % 4
    _, before = cross_fit(histograms, folds, "dice")
    changed = histograms.copy()
    changed[folds == 2] = make_histograms(9)[folds == 2]
    _, after = cross_fit(changed, folds, "dice")
    assert before[2].rule == after[2].rule


def test_a_blend_does_not_judge_the_images_that_chose_its_weights() -> None:
    """Each fold is given the blend of its neighbour, whose weights were chosen on it."""
    histograms, folds = make_histograms(2), np.arange(COUNT) % 4
    ids = np.array([f"i{place:02}" for place in range(COUNT)])
    right = {fold: WeighedBlend(histograms, ids[folds != fold]) for fold in range(4)}
    how = {"metric": "dice", "image_ids": ids.tolist()}
    scores, _ = cross_fit(histograms, folds, **how, without=right)
    assert np.array_equal(scores, cross_fit(histograms, folds, "dice")[0])
    wrong = {fold: right[(fold + 1) % 4] for fold in range(4)}
    with pytest.raises(LeakError, match=r"part 0: blend weights .* 10 images .*: i00, i04, i08"):
        cross_fit(histograms, folds, **how, without=wrong)


def test_honest_is_the_mean_over_images_and_no_better_than_optimistic() -> None:
    histograms = make_histograms(2)
    folds = np.repeat([0, 0, 0, 1], 10)  # folds of different size
    found = assess(histograms, folds, [""] * COUNT, metric="dice", samples=200)
    assert found.honest == pytest.approx(found.scores.mean())
    assert found.honest <= found.chosen.score
    assert found.interval.low <= found.honest <= found.interval.high
    assert found.fold_count == 2
    assert found.chosen.peak == search_rule(histograms, "dice")


def test_all_empty_scores_the_share_of_empty_images() -> None:
    histograms = make_histograms(3)
    found = assess(histograms, np.arange(COUNT) % 2, [""] * COUNT, metric="dice", samples=200)
    empty = histograms[:, 1].sum(axis=1) == 0
    assert found.all_empty == pytest.approx(empty.mean())
    assert found.all_empty == rule_scores(histograms, ALL_EMPTY, "dice").mean()
    assert found.non_empty_images == (~empty).sum()
    assert found.empty is not None
    assert found.non_empty is not None
    mixed = found.empty * empty.mean() + found.non_empty * (~empty).mean()
    assert mixed == pytest.approx(found.honest)


def test_a_class_without_images_has_no_score() -> None:
    histograms = make_histograms(4)
    only = histograms[histograms[:, 1].sum(axis=1) > 0]
    found = assess(only, np.arange(len(only)) % 2, [""] * len(only), metric="dice", samples=100)
    assert found.empty is None
    assert found.all_empty == 0


def test_one_fold_is_parted_by_groups() -> None:
    histograms = make_histograms(5)
    groups = [f"p{place // 4}" for place in range(COUNT)]
    found = assess(histograms, [3] * COUNT, groups, metric="dice", samples=100)
    assert found.fold_count == 1
    assert [part.fold for part in found.folds] == [0, 1, 2, 3, 4]
    assert all(part.images == 8 for part in found.folds)
    again = assess(histograms, [3] * COUNT, groups, metric="dice", samples=100)
    assert np.array_equal(found.scores, again.scores)
    assert (found.folds, found.interval) == (again.folds, again.interval)


def test_one_group_cannot_be_parted() -> None:
    with pytest.raises(InputError, match=r"at least two groups .* found one group of 4 images"):
        assess(make_histograms(0, 4), [0] * 4, ["p"] * 4, metric="dice")


def test_one_fold_has_no_others() -> None:
    with pytest.raises(InputError, match=r"at least two folds .* found 1\. Train and predict"):
        cross_fit(make_histograms(0, 4), np.zeros(4, np.int64), "dice")


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(InputError, match="found 4 images, 3 folds and 4 groups"):
        assess(make_histograms(0, 4), [0] * 3, [""] * 4, metric="dice")


@given(st.lists(st.sampled_from(["", "a", "b", "0", "1"]), min_size=1, max_size=20))
def test_groups_are_numbered_without_gaps(groups: list[str]) -> None:
    numbers = number_groups(groups)
    assert set(numbers) == set(range(numbers.max() + 1))
    for i, one in enumerate(groups):
        for j, other in enumerate(groups):
            assert (numbers[i] == numbers[j]) == (i == j or (one == other != ""))


def test_interval_depends_on_the_seed_alone() -> None:
    scores = np.random.default_rng(0).random(300)
    groups = np.arange(300) // 2
    one = group_interval(scores, groups, samples=500, seed=1)
    assert one == group_interval(scores, groups, samples=500, seed=1)
    assert one != group_interval(scores, groups, samples=500, seed=2)
    assert (one.level, one.samples, one.groups, one.seed) == (0.95, 500, 150, 1)


def test_interval_of_single_images_is_that_of_the_normal_approximation() -> None:
    scores = np.random.default_rng(0).beta(0.5, 0.5, 2000)
    found = group_interval(scores, np.arange(2000), samples=4000)
    spread = 1.96 * scores.std() / np.sqrt(2000)
    assert found.low == pytest.approx(scores.mean() - spread, abs=0.1 * spread)
    assert found.high == pytest.approx(scores.mean() + spread, abs=0.1 * spread)


def test_interval_is_that_of_copied_groups_one_drawing_at_a_time() -> None:
    rng = np.random.default_rng(3)
    scores, groups = rng.random(40), rng.permutation(np.arange(40) % 11)
    found = group_interval(scores, groups, samples=60, seed=8)
    again, means = np.random.default_rng(8), []
    for drawn in again.integers(0, 11, (60, 11), dtype=np.int32):
        means.append(np.concatenate([scores[groups == group] for group in drawn]).mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_interval_of_single_images_is_that_of_scipy() -> None:
    scores = np.random.default_rng(0).beta(0.5, 0.5, 200)
    ours = group_interval(scores, np.arange(200), samples=20_000)
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * width)


def test_interval_of_whole_groups_is_wider_where_they_resemble_each_other() -> None:
    of_group = np.random.default_rng(0).random(100)
    scores, groups = np.repeat(of_group, 9), np.repeat(np.arange(100), 9)
    whole = group_interval(scores, groups)
    single = group_interval(scores, np.arange(900))
    assert whole.high - whole.low == pytest.approx(3 * (single.high - single.low), rel=0.15)


def test_equal_scores_and_a_single_group_have_no_width() -> None:
    same = group_interval(np.full(9, 0.5), np.arange(9), samples=100)
    one = group_interval(np.array([0.0, 1.0]), np.zeros(2, np.int64), samples=100)
    assert (same.low, same.high, one.low, one.high) == (0.5, 0.5, 0.5, 0.5)
