"""The most likely class of each pixel from a least area on: against a loop, and cross-fitted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, jaccard_score

from goldfold.competitions.class_maps import IGNORED_NUMBER
from goldfold.ensemble.class_map_rule import (
    choose_areas,
    class_scores,
    count_classes,
    count_pixels,
    decide,
    most_likely,
    pixels_of_map,
)
from goldfold.ensemble.class_map_weights import (
    ClassMapObjective,
    sample_pixels,
    try_class_map_blends,
)
from goldfold.errors import LeakError
from goldfold.tasks.semantic_ensemble import cross_fit_areas, measures_of


def drawn(seed, classes, height=6, width=7):
    """Return coarse levels (C, H, W), so that some are equal, and true classes, some ignored."""
    random = np.random.default_rng(seed)
    levels = random.integers(0, 5, (classes, height, width)).astype(np.uint8)
    true = random.integers(0, classes, (height, width)).astype(np.uint8)
    true[random.random((height, width)) < 0.15] = IGNORED_NUMBER
    return levels, true


def counts_of(images, classes):
    return count_classes(
        [count_pixels(*most_likely(levels), true, classes) for levels, true in images]
    )


def by_loop(levels, least_areas):
    """Return the decided classes, pixel by pixel, as the rule is told to people."""
    classes, height, width = levels.shape
    order = [
        [sorted(range(classes), key=lambda c: (-int(levels[c, y, x]), c)) for x in range(width)]
        for y in range(height)
    ]
    areas = [sum(order[y][x][0] == c for y in range(height) for x in range(width))
             for c in range(classes)]  # fmt: skip
    dropped = {c for c in range(1, classes) if areas[c] < least_areas[c]}
    decided = np.zeros((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            kept = [c for c in order[y][x][:2] if c not in dropped]
            decided[y, x] = kept[0] if kept else 0
    return decided


@given(st.integers(0, 10_000), st.integers(2, 12), st.data())
def test_the_decision_is_that_of_a_loop_over_pixels(seed, classes, data):
    levels, true = drawn(seed, classes)
    least = data.draw(st.lists(st.integers(0, 12), min_size=classes, max_size=classes))
    decided = decide(*most_likely(levels), least)
    assert np.array_equal(decided, by_loop(levels, least))
    counts = counts_of([(levels, true)], classes)
    assert np.array_equal(counts.pixels(np.array(least))[0], pixels_of_map(decided, true, classes))


@given(st.integers(0, 10_000))
def test_what_is_predicted_of_ignored_pixels_changes_no_count_of_the_metric(seed):
    levels, true = drawn(seed, 5)
    other, _ = drawn(seed + 1, 5)
    changed = np.where(true == IGNORED_NUMBER, other, levels)
    seen = [pixels_of_map(most_likely(one)[0], true, 5) for one in (levels, changed)]
    assert np.array_equal(*seen)


def test_more_classes_than_fit_into_bins_are_counted_alike():
    levels, true = drawn(3, 120)
    counts = counts_of([(levels, true)], 120)
    decided = decide(*most_likely(levels), np.zeros(120, int))
    areas = np.zeros(120, np.int64)
    assert np.array_equal(counts.pixels(areas)[0], pixels_of_map(decided, true, 120))


def test_confusion_and_measures_are_scikit_learns():
    images = [drawn(seed, 4) for seed in range(5)]
    areas = np.array([0, 3, 9, 12])
    confusion = counts_of(images, 4).confusion(areas)
    decided = np.concatenate([decide(*most_likely(one), areas).ravel() for one, _ in images])
    true = np.concatenate([classes.ravel() for _, classes in images])
    known = true != IGNORED_NUMBER
    assert np.array_equal(confusion, confusion_matrix(true[known], decided[known], labels=range(4)))
    found = [one["iou"] for one in measures_of(confusion, "abcd")]
    expected = jaccard_score(true[known], decided[known], labels=range(4), average=None)
    assert np.allclose(found, expected)


def test_classes_neither_there_nor_predicted_score_one_and_the_background_does_not_count():
    pixels = np.zeros((2, 3, 3), np.int64)
    pixels[0, :, 0] = 0, 10, 20  # the background is wrong all over
    pixels[1, :, 1] = 5, 10, 10
    assert class_scores("dice", pixels).tolist() == [1.0, 0.75]
    assert class_scores("mean-iou", pixels).tolist() == [1.0, pytest.approx((1 / 3 + 1) / 2)]


@given(st.integers(0, 2_000))
def test_the_area_of_a_single_class_is_the_best_of_all(seed):
    images = [drawn(seed * 10 + number, 2) for number in range(6)]
    counts = counts_of(images, 2)
    areas = choose_areas(counts, "dice")
    tried = [counts.scores("dice", np.array([0, area])).mean() for area in range(45)]
    assert counts.scores("dice", areas).mean() == pytest.approx(max(tried))


def test_areas_of_several_classes_are_at_least_as_good_as_none():
    images = [drawn(number, 6) for number in range(8)]
    counts = counts_of(images, 6)
    areas = choose_areas(counts, "dice")
    assert areas[0] == 0
    none = np.zeros(6, np.int64)
    assert counts.scores("dice", areas).mean() > counts.scores("dice", none).mean()


# --- cross-fitting -------------------------------------------------------------------------------


def of_nine_pixels(true_class):
    """Return an image of background with nine pixels said to be class 1, truly of another."""
    levels = np.zeros((2, 6, 7), np.uint8)
    levels[0], levels[1, :3, :3] = 100, 200
    true = np.zeros((6, 7), np.uint8)
    true[:3, :3] = true_class
    return levels, true


def test_the_judged_fold_never_chooses_the_areas_it_is_judged_by():
    """Small parts are false in two folds and true in the third: each is judged by the others."""
    images = [of_nine_pixels(0)] * 4 + [of_nine_pixels(1)] * 8
    counts, ids = counts_of(images, 2), [f"i{number}" for number in range(12)]
    parts = np.array([0, 0, 1, 1, *[2] * 8])
    assessed = cross_fit_areas(counts, parts, "dice", ids)
    assert assessed.scores.tolist() == [0.0] * 12  # folds 0 and 1 kept them, fold 2 dropped them
    assert assessed.confusion[2].tolist() == [[8 * 33, 0], [8 * 9, 0]]
    assert assessed.optimistic == pytest.approx(8 / 12)
    assert assessed.least_areas.tolist() == [0, 0]


def test_weights_that_looked_at_the_judged_fold_are_refused():
    images = [drawn(number, 3) for number in range(4)]
    counts, parts, ids = counts_of(images, 3), np.array([0, 0, 1, 1]), list("abcd")
    with pytest.raises(LeakError, match="on which they were chosen: b"):
        cross_fit_areas(counts, parts, "dice", ids, {0: (counts, ["b", "c", "d"])})


# --- weights -------------------------------------------------------------------------------------


def stacks(seed):
    """Return a good member, a bad one, and the truth of twelve images of three classes."""
    random = np.random.default_rng(seed)
    true = random.integers(0, 3, (12, 8, 8)).astype(np.uint8)
    hot = np.stack([true == number for number in range(3)], axis=1)
    good = np.clip(hot * 150 + random.integers(0, 100, hot.shape), 0, 255).astype(np.uint8)
    bad = random.integers(0, 256, hot.shape).astype(np.uint8)
    return good, bad, true


def test_hill_climbing_finds_the_member_that_knows():
    good, bad, true = stacks(0)
    ids = [str(number) for number in range(12)]
    pixels = sample_pixels(
        lambda name: [bad[int(name)], good[int(name)]], lambda name: true[int(name)], ids
    )
    parts = np.repeat([0, 1, 2], 4)
    trials = try_class_map_blends(
        pixels, parts, "dice", merges=["mean", "logit"], ways=["equal", "hill-climb"]
    )
    scores = {(one.merge, one.way): one.scores.mean() for one in trials}
    assert scores["mean", "hill-climb"] > scores["mean", "equal"] + 0.05
    assert next(one for one in trials if one.way == "hill-climb").weights[1] > 0
    alone = ClassMapObjective(pixels, "mean", "dice")([0, 1])
    expected = np.mean(
        [class_scores("dice", pixels_of_map(most_likely(g)[0], t, 3)[None])[0]
         for g, t in zip(good, true, strict=True)]
    )  # fmt: skip
    assert alone == pytest.approx(expected)
